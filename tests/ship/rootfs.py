"""A program in a root of its own, as a container has it: read-only, an unprivileged user, a network with loopback alone.

Made of `unshare`, `mount` and `chroot`, for which root is needed.
"""

import os
import re
import shlex
import shutil
import subprocess
import threading
from pathlib import Path

import tools
from tools import run, wait_for

MEMORY_V1, MEMORY_V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
STOP_S = 30


def need_root():
    """Root and the tools, or `Unavailable`."""
    if os.getuid() != 0:
        raise tools.Unavailable("a root of its own needs root here, for mount and chroot")
    for name in ("unshare", "nsenter", "setpriv", "chroot", "ip", "ldd", "taskset"):
        tools.on_path(name)
    if (probe := run(["unshare", "--mount", "--net", "ip", "link", "set", "lo", "up"])).returncode != 0:
        raise tools.Unavailable(f"namespaces are not allowed here: {probe.stderr.strip()[-200:]}")


def install(binary, root, path):
    """`binary` into `root` as `path`, and the libraries that it is linked with: a static one has none."""
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(binary, target)
    libraries(binary, root)


def libraries(binary, root):
    """The libraries of `binary`, where it looks for them."""
    for library in re.findall(r"(/\S+) \(0x", run(["ldd", binary]).stdout):
        copy = root / library.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, copy)


class Contained:
    """`command` in `root`, of which only `writable` can be written to. Without a cgroup to be had, nothing limits
    the memory: `limited` says so."""

    def __init__(self, root, command, user, memory=None, writable=(), cpus=None, environment=None):
        (root / "proc").mkdir(exist_ok=True)
        self._cgroup = _cgroup(memory) if memory else None
        self.limited = self._cgroup is not None
        place = shlex.quote(str(root))
        steps = ["set -e", "ip link set lo up", "mount --make-rprivate /", f"mount --bind {place} {place}"]
        steps += [f"mount --bind {place}/{it} {place}/{it}" for it in writable]
        steps += [f"mount --bind /proc {place}/proc", f"mount -o remount,bind,ro {place}"]
        if self._cgroup:
            steps.append(f"echo $$ >{shlex.quote(str(self._cgroup / 'cgroup.procs'))}")
        pinned = f"taskset -c {','.join(map(str, cpus))} " if cpus else ""
        inside = " ".join(map(shlex.quote, map(str, command)))
        steps.append(f"exec {pinned}setpriv --no-new-privs chroot --userspec={user}:{user} {place} {inside}")
        self.lines, self._ready = [], threading.Event()
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", "\n".join(steps)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(environment or {})},
        )
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    def ready(self):
        """Waits for the line that says so; `RuntimeError` with the log when it ends before."""
        self._ready.wait(STOP_S)
        if not any(" ready: " in it for it in self.lines):
            raise RuntimeError("it is not ready:\n" + "\n".join(self.lines[-10:]))

    def beside(self, command, **options):
        """A finished command in the same network."""
        return run(["nsenter", "--target", self.process.pid, "--net", *command], **options)

    def status(self):
        """`/proc/PID/status` as a dictionary."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def stop(self):
        """SIGTERM; the exit code, once all output has been read."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        if self._cgroup:
            wait_for(lambda: _removed(self._cgroup), "the cgroup is empty")
        return self.process.returncode

    def _follow(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if " ready: " in line:
                self._ready.set()
        self._ready.set()


def _removed(cgroup):
    try:
        cgroup.rmdir()
    except OSError:
        return False
    return True


def _cgroup(memory):
    """A new cgroup with this limit in bytes, without swap where there is any; None where none can be made."""
    name = f"logboom-ship-{os.getpid()}"
    for parent, limit in ((MEMORY_V1, "memory.limit_in_bytes"), (MEMORY_V2, "memory.max")):
        try:
            (parent / name).mkdir()
        except OSError:
            continue
        try:
            (parent / name / limit).write_text(str(memory))
            return parent / name
        except OSError:
            (parent / name).rmdir()
    return None
