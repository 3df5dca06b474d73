"""What every case needs: a verdict, an environment, and the parts of configurations."""

import itertools
import json
import socket
import subprocess

from running import Adopted, Gen, Logboom


class Verdict:
    """Figures and broken promises of one case."""

    def __init__(self):
        self.figures, self.broken, self.skipped = {}, [], None

    def figure(self, name, value):
        self.figures[name] = value

    def expect(self, holds, promise):
        """Notes a promise as broken unless it holds."""
        if not holds:
            self.broken.append(promise)
        return holds

    def equal(self, name, got, wanted):
        self.figures[name] = got
        return self.expect(got == wanted, f"{name}: {got}, expected {wanted}")


def row(*numbers):
    """Says which rows of the list of faults a case answers; see README.md."""
    def mark(case):
        case.rows = numbers
        return case
    return mark


class Skip(Exception):
    """The case cannot be run here; the message says why."""


class Environment:
    """What the command line says, and the processes that are to be ended in any case."""

    def __init__(self, binary, smoke, seed):
        self.binary, self.smoke, self.seed = binary, smoke, seed
        self.directory, self._processes, self._afterwards, self._numbers = None, [], [], itertools.count()

    def has_journal(self):
        path = self.directory / "journal-or-not.json"
        config = {
            "sources": {"otlp": {"type": "otlp", "grpc": "127.0.0.1:0"}}, "sinks": {"nowhere": {"type": "null"}},
            "journal": {"dir": str(self.directory / "journal-or-not")},
        }
        path.write_text(json.dumps(config))
        checked = subprocess.run([self.binary, "check", "-c", path], capture_output=True, text=True, check=False)
        return "not supported by this version" not in checked.stderr

    def needs_journal(self):
        if not self.has_journal():
            raise Skip("this binary has no journal")

    def journal(self, **options):
        """A journal beside the other files of the case, as a part of a configuration."""
        return {"journal": {"dir": str(self.directory / "journal"), **options}}

    def journal_if_any(self, **options):
        """The same; nothing for a binary that has none, for cases that memory can pass too."""
        return self.journal(**options) if self.has_journal() else {}

    def afterwards(self, undo):
        """Something to undo when the case is over, however it ends."""
        self._afterwards.append(undo)

    def pick(self, full, smoke):
        return smoke if self.smoke else full

    def logboom(self, config, verdict, **options):
        name = f"logboom-{next(self._numbers)}"
        process = Logboom(self.binary, self.directory, name, config, verdict, **options)
        self._processes.append(process)
        return process

    def adopt(self, process):
        """Has a subprocess of a case ended with it."""
        self._processes.append(Adopted(process))
        return process

    def gen(self, *arguments):
        load = Gen(self.binary, arguments)
        self._processes.append(load)
        return load

    def end_processes(self):
        for process in self._processes:
            process.kill()
        self._processes.clear()

    def end(self):
        """Kills what a case has left behind, and undoes what it has done."""
        self.end_processes()
        while self._afterwards:
            self._afterwards.pop()()


def sources(**lines):
    """A lines source and an OTLP source on free ports, with few connections so that the memory bound says something."""
    return {
        "mesh": {"type": "lines", "listen": "127.0.0.1:0", "connections_max": 256, **lines},
        "otlp": {"type": "otlp", "grpc": "127.0.0.1:0", "connections_max": 256},
    }


def file_sink(path, encoding="raw", **options):
    return {"type": "file", "path": str(path), "encoding": encoding, "rotate": {"size": "100GB"}, **options}


def free_port():
    """A port that the kernel says is free, for what must come back on the same one."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return reserved.getsockname()[1]


def connect(port, source=None):
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0) if source else None)


def send_line(port, text):
    with connect(port) as stream:
        stream.sendall(text.encode() + b"\n")


def contains(path, text):
    try:
        return text.encode() in path.read_bytes()
    except FileNotFoundError:
        return False


