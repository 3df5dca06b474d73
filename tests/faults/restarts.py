"""Restarts under the stream of kuma-dp, which forgives nothing: plain, with the socket of systemd, handed over."""

import random
import signal
import socket
import subprocess
import time

from crashes import fixed_sources, kuma_dp, sent
from harness import Skip, file_sink, row
from oracle import Delivered
from running import GRACE_S
from waiting import percentiles, until

RATE, SIZE = 10_000, 300


class _Stream:
    """The model of kuma-dp beside a logboom that is restarted, and what was lost in the end."""

    def __init__(self, environment, verdict, port, times, seconds):
        self._environment, self._verdict, self.times = environment, verdict, times
        self._sender = kuma_dp(environment, port, RATE, SIZE, seconds=int(times * seconds) + 30)
        self._rng = random.Random(environment.seed)
        time.sleep(0.5)

    def pause(self):
        time.sleep(self._rng.uniform(0.3, 1.0))

    def finish(self, logboom, path):
        time.sleep(0.5)
        self._sender.send_signal(signal.SIGTERM)
        report = sent(self._sender)
        until(lambda: logboom.behind() == 0, 15)
        time.sleep(0.3)
        logboom.stop()
        delivered = Delivered({1: SIZE})
        for piece in sorted(path.parent.iterdir()):
            delivered.feed_lines(piece.read_bytes())
        lost = sum(not delivered.has(1, number) for number in range(report["issued"]))
        silent = lost - sum(not delivered.has(1, number) for number in report["dropped"])
        verdict = self._verdict
        verdict.figure("restarts", self.times)
        verdict.figure("lines", report["issued"])
        verdict.figure("lost per restart", round(lost / self.times, 1))
        verdict.figure("refused", report["refused"])
        verdict.figure("write errors", report["write_errors"])
        verdict.figure("silent", silent)
        verdict.figure("connections", report["connects"])
        verdict.figure("sender held at most ms", round(report["send_max_s"] * 1000))
        verdict.figure("sender late at most ms", round(report["late_max_s"] * 1000))
        self.burst = round(report["late_max_s"] * RATE)
        verdict.equal("duplicates", delivered.duplicates, 0)
        verdict.expect(report["issued"] > RATE, "hardly a line was sent: this shows nothing")
        return lost


def _config(environment, sources):
    path = environment.directory / "out/all.log"
    return {"sources": sources, "sinks": {"files": file_sink(path)}, **environment.journal_if_any(mode="buffered")}, path


@row(18)
def restart_plain(environment, verdict):
    """Stopped and started again under 10,000 lines/s: what that loses is reported, not promised; no line is torn or doubled."""
    config, path = _config(environment, fixed_sources())
    logboom = environment.logboom(config, verdict)
    stream = _Stream(environment, verdict, logboom.lines, environment.pick(20, 3), 6)
    ends, gaps = [], []
    for _ in range(stream.times):
        stream.pause()
        begun = time.monotonic()
        _, seconds, _ = logboom.stop()
        logboom = environment.logboom(config, verdict)
        ends.append(seconds)
        gaps.append(time.monotonic() - begun)
    verdict.figure("exit ms p50/p99/max", percentiles(ends))
    verdict.figure("stop to ready ms p50/p99/max", percentiles(gaps))
    verdict.expect(max(ends) <= GRACE_S + 0.5, f"ended after {max(ends):.1f} s")
    stream.finish(logboom, path)


@row(18)
def restart_socket_activation(environment, verdict):
    """The same with the listening socket held by systemd (here: by the test): no connection is refused, at most 20 lines are lost
    for each restart."""
    sources = fixed_sources()
    sources["mesh"]["listen"] = "systemd:mesh"
    config, path = _config(environment, sources)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    environment.afterwards(listener.close)
    # systemd passes descriptors from 3 on, and names the process they are for.
    wrap = ["sh", "-c", f'exec 3<&{listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=mesh exec "$@"', "sh"]
    try:
        logboom = environment.logboom(config, verdict, wrap=wrap, pass_fds=(listener.fileno(),))
    except RuntimeError as why:
        if "systemd" in str(why) and not environment.has_journal():
            raise Skip("this binary takes no inherited sockets") from why
        raise
    stream = _Stream(environment, verdict, listener.getsockname()[1], environment.pick(20, 3), 6)
    for _ in range(stream.times):
        stream.pause()
        logboom.stop()
        logboom = environment.logboom(config, verdict, wrap=wrap, pass_fds=(listener.fileno(),))
    lost = stream.finish(logboom, path)
    verdict.expect(verdict.figures["refused"] == 0, f"{verdict.figures['refused']} connections were refused")
    # A sender that was late sends as many lines at once, into a connection that may just be closing.
    bound = 20 + stream.burst
    verdict.expect(lost <= bound * stream.times, f"{lost} lines lost in {stream.times} restarts, at most {bound} each")


@row(18)
def restart_hand_over(environment, verdict):
    """The same with `--take-over`: the new process takes the sockets of the old one, connections included. Not one line is lost, and the sender
    never notices."""
    config, path = _config(environment, fixed_sources())
    helped = subprocess.run([environment.binary, "run", "--help"], capture_output=True, text=True, check=False)
    if "--take-over" not in helped.stdout:
        raise Skip("this binary cannot take over")
    config["takeover"] = {"socket": str(environment.directory / "takeover.sock")}
    logboom = environment.logboom(config, verdict)
    stream = _Stream(environment, verdict, logboom.lines, environment.pick(20, 4), 3)
    took, stayed = [], 0
    for _ in range(stream.times):
        stream.pause()
        begun = time.monotonic()
        successor = environment.logboom(logboom.config, verdict, arguments=["--take-over"])
        took.append(time.monotonic() - begun)
        code = logboom.ended(GRACE_S + 1)
        verdict.expect(code == 0, f"the old process ended with {code}")
        stayed += code is None
        logboom = successor
    verdict.figure("hand-over ms p50/p99/max", percentiles(took))
    lost = stream.finish(logboom, path)
    verdict.equal("lost", lost, 0)
    verdict.equal("connections", verdict.figures["connections"], 1)


CASES = [restart_plain, restart_socket_activation, restart_hand_over]
