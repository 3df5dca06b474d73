"""Other collectors that package registries offer, lines to a file, where they are installed."""

import shutil
import socket
import time
from pathlib import Path

from processes import POLL_S, READY_MAX_S, Failure, Process, settled

RSYSLOG = """
global(workDirectory="{workdir}" maxMessageSize="64k")
module(load="imtcp" streamDriver.mode="0")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="out") {{ action(type="omfile" file="{file}" template="raw" ioBufferSize="256k" asyncWriting="off") }}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="out")
"""
SYSLOG_NG = """
@version: 3.38
options {{ stats-freq(0); }};
source s {{ network(ip("127.0.0.1") port({port}) transport(tcp) flags(no-parse) max-connections(2000)
    log-fetch-limit(1000) log-iw-size(2000000)); }};
destination d {{ file("{file}" template("${{MESSAGE}}\\n") flush-lines(1000)); }};
log {{ source(s); destination(d); flags(flow-control); }};
"""


def _rsyslog(program, config, workdir):
    return [program, "-n", "-f", config, "-i", Path(workdir) / "rsyslog.pid"], RSYSLOG


def _syslog_ng(program, config, workdir):
    state = Path(workdir) / "syslog-ng"
    words = ["-F", "--no-caps", "--stderr", "-f", config, "-R", f"{state}.persist", "-p", f"{state}.pid", "-c", f"{state}.ctl"]
    return [program, *words], SYSLOG_NG


PEERS = {"rsyslog": ("rsyslogd", _rsyslog), "syslog_ng": ("syslog-ng", _syslog_ng)}


def installed():
    """Programs by the name of the peer; daemons live where the path of a user may not lead."""
    where = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
    found = {name: shutil.which(program) or shutil.which(program, path=where) for name, (program, _) in PEERS.items()}
    return {name: program for name, program in found.items() if program}


class Peer(Process):
    """A collector that is ready when it can be connected to, and done when its file does not grow any more."""

    def __init__(self, command, workdir, file, port):
        self.file, self.address = file, f"127.0.0.1:{port}"
        super().__init__(["sh", "-c", 'echo started >&2; exec "$@"', "sh", *command], workdir, "started")
        deadline = time.monotonic() + READY_MAX_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    raise Failure(f"the peer does not listen:\n{self.tail()}") from None
                time.sleep(POLL_S)

    def wait_delivered(self, expected_bytes):
        return settled(lambda: self.file.stat().st_size if self.file.exists() else 0, expected_bytes)


def start(name, program, workdir, file):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = Path(workdir) / f"{name}.conf"
    command, text = PEERS[name][1](program, config, workdir)
    config.write_text(text.format(workdir=workdir, file=file, port=port))
    return Peer(command, workdir, file, port)
