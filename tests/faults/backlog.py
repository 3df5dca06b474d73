"""What a journal holds, seen from outside."""

import re
import subprocess

from oracle import BODY

SEGMENT = re.compile(r"[0-9a-f]{16}\.seg")


def segments(directory):
    """In the order of their numbers."""
    return sorted(path for path in directory.iterdir() if SEGMENT.fullmatch(path.name))


def scan(directory):
    """The ids of the records whose bytes are in the segments, in order, whatever the journal thinks of them.

    Payloads are kept as they came, so a record that was written is there to be found.
    """
    return [(int(match[1]), int(match[2])) for path in segments(directory) for match in BODY.finditer(path.read_bytes())]


def check(environment, directory):
    """`logboom journal check`: its exit code and what it says."""
    done = subprocess.run([environment.binary, "journal", "check", directory], capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr
