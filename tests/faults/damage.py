"""A journal directory that somebody or something has damaged while logboom was not running."""

import random
import shutil
import subprocess

from backlog import check, segments
from harness import file_sink, row
from http2 import Grpc
from matrix import otlp_only, upstream_sink
from oracle import BODY, FRESH_SIZES, Delivered, Ledger
from otlp import record, request
from running import NotReady
from waiting import until

DEAD = upstream_sink(1, retry={"initial": "1s", "max": "1s"})


class Journal:
    """A directory with one record in each entry, as a crash has left it, to be copied and damaged. Unless it is `synced`, its end
    may look like what a crash has cut off."""

    def __init__(self, environment, verdict, records, size, delivered_before=0, synced=False, **journal):
        self.environment, self.verdict, self.size, self.settings = environment, verdict, size, journal
        self.ledger, self.trials, self.directory = Ledger(1, size), 0, environment.directory / "base"
        self.output = environment.directory / "out"
        if delivered_before:
            logboom = self.start(self.directory, self.file(), DEAD)
            self.send(logboom, delivered_before)
            verdict.expect(until(lambda: logboom.behind("out") == 0, 10), "the first records never arrived")
            logboom.stop(codes=(0, 3))
        logboom = self.start(self.directory, DEAD, DEAD)
        self.send(logboom, records - delivered_before)
        if synced:
            said = lambda: f"synced  up to entry {records}," in check(environment, self.directory)[1]  # noqa: E731
            verdict.expect(until(said, 10), "the cursors never said that all is on the disk")
        logboom.crash()
        self.first, self.ids = delivered_before, set(range(delivered_before, records))

    def file(self):
        return file_sink(self.output / "all.log")

    def start(self, directory, sink, other):
        """With a second sink, because what nobody waits for is deleted."""
        described = otlp_only()
        # The least journal is four of the largest messages.
        described["otlp"]["message_max"] = "1MiB"
        config = {"sources": described, "sinks": {"out": sink, "other": other}, "journal": {"dir": str(directory), **self.settings}}
        return self.environment.logboom(config, self.verdict)

    def send(self, logboom, count):
        with Grpc(logboom.otlp) as client:
            for _ in range(count):
                number, bodies = self.ledger.take(1)
                if self.verdict.expect(client.call(request([record(bodies[0].decode())])) == "OK", "a request was refused"):
                    self.ledger.acknowledge(number, 1)

    def places(self):
        """Where each record's bytes are: `(path, begin, end, number)`."""
        return [
            (path, match.start(), match.end(), int(match[2]))
            for path in segments(self.directory) for match in BODY.finditer(path.read_bytes())
        ]

    def trial(self, damage, may_lose=(), what="", knowable=True):
        """Damages a copy, starts with it, and looks at what arrives. Returns `(lost, told, exit
        code of check, replayed)`, or None when it did not start.

        What is lost must be counted, unless nothing that is left says that it was ever there."""
        copy = self.environment.directory / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.rmtree(self.output, ignore_errors=True)
        subprocess.run(["cp", "-a", "--sparse=always", self.directory, copy], check=True)
        damage(copy)
        self.trials += 1
        # Looks and changes nothing, whatever is there.
        code, said = check(self.environment, copy)
        self.verdict.expect(code in (0, 1), f"{what}: journal check ends with {code}: {said[-200:]}")
        try:
            logboom = self.start(copy, self.file(), {"type": "null"})
        except NotReady as why:
            self.verdict.expect(False, f"{what}: it does not start: {str(why)[-300:]}")
            return None
        until(lambda: logboom.behind() == 0, 5, 0.01)
        told = told_lost(logboom)
        logboom.stop()
        self.environment.end_processes()
        path, delivered = self.output / "all.log", Delivered({1: self.size, **FRESH_SIZES})
        delivered.feed_lines(path.read_bytes() if path.exists() else b"")
        lost = {number for number in self.ids if not delivered.has(1, number)}
        beyond = lost - set(may_lose)
        self.verdict.expect(not beyond, f"{what}: lost besides what was touched: {sorted(beyond)[:5]} of {len(beyond)}")
        self.verdict.expect(delivered.altered == 0, f"{what}: altered records delivered: {delivered.examples[:1]}")
        self.verdict.expect(not lost or told or not knowable, f"{what}: {len(lost)} records lost, and no counter says so")
        return len(lost), told, code, delivered.duplicates + sum(delivered.has(1, number) for number in range(self.first))


def told_lost(logboom):
    """What the metrics say was lost of the journal, entries or records."""
    return logboom.metric("logboom_journal_missing_entries_total") + logboom.metric("logboom_journal_corrupt_ranges_total")


@row(5)
def torn_tail(environment, verdict):
    """The last segment is cut at every byte of its last three records: it starts, what is before the cut arrives, the rest is counted."""
    environment.needs_journal()
    journal = Journal(environment, verdict, 12, 60, max="16MiB")
    places = journal.places()[-4:]
    path = places[-1][0]
    verdict.expect(all(place[0] == path for place in places), "the last records are in several segments")
    first, last = places[0][2], places[-1][2] + 64
    step = environment.pick(1, max(1, (last - first) // 12))
    lost, untold = 0, []
    for cut in range(first, last, step):
        def damage(copy, cut=cut):
            with (copy / path.name).open("r+b") as segment:
                segment.truncate(cut)
        # A record ends with at most a few bytes of its own behind its payload.
        may_lose = [number for _, _, end, number in places if end + 64 > cut]
        result = journal.trial(damage, may_lose, f"cut at {cut}", knowable=False)
        lost = max(lost, result[0] if result else 0)
        untold += [cut] if result and result[0] and not result[1] else []
    # Cut exactly between two entries it looks as if it had never been longer: three such places.
    verdict.figure("cuts not counted", len(untold))
    verdict.expect(len(untold) <= len(places) - 1, f"nothing was counted of the cuts at {untold}")
    verdict.figure("cuts", journal.trials)
    verdict.figure("lost at most", lost)


@row(6)
def bit_flips(environment, verdict):
    """Single bits flipped, and blocks of 4 KiB overwritten: it starts each time, only touched records are lost, all that is lost is counted,
    and no altered record is delivered."""
    environment.needs_journal()
    rng = random.Random(environment.seed)
    journal = Journal(environment, verdict, 1000, 1500, synced=True, max="16MiB")
    places = journal.places()
    ends = {path: end + 64 for path, _, end, _ in places}
    verdict.figure("segments", len(ends))
    lost = {"flip": [], "block": []}
    for kind, count, width in (("flip", environment.pick(1000, 25), 1), ("block", environment.pick(200, 8), 4096)):
        for _ in range(count):
            path = rng.choice(sorted(ends))
            at = rng.randrange(0, max(1, ends[path] - width))
            bit, junk = 1 << rng.randrange(8), rng.choice((bytes(width), rng.randbytes(width)))

            def damage(copy, path=path, at=at, bit=bit, junk=junk, width=width):
                with (copy / path.name).open("r+b") as segment:
                    segment.seek(at)
                    old = segment.read(width)
                    segment.seek(at)
                    segment.write(bytes([old[0] ^ bit]) if width == 1 else junk)

            what = f"{kind} at {at} of {path.name}"
            result = journal.trial(damage, touched(places, path, at, at + width), what)
            verdict.expect(not result or not result[0] or result[2] == 1, f"{what}: records are lost, and journal check finds no damage")
            lost[kind].append(result[0] if result else 0)
    for kind, counts in lost.items():
        verdict.figure(f"{kind}s", len(counts))
        verdict.figure(f"lost per {kind} mean/max", f"{sum(counts) / len(counts):.2f}/{max(counts)}")


def touched(places, path, begin, end):
    """The records whose bytes, or the bytes just before or behind them, were overwritten."""
    there = [place for place in places if place[0] == path]
    hit = {number for _, first, last, number in there if first < end and begin < last}
    before = [number for _, _, last, number in there if last <= begin]
    after = [number for _, first, _, number in there if first >= end]
    inside = any(first <= begin and end <= last for _, first, last, _ in there)
    return hit if inside else hit | set(before[-1:]) | set(after[:1])


@row(7)
def cursors(environment, verdict):
    """The cursor is missing, zeroed, junk, from earlier or from the future, whole or one slot of it: it starts, nothing undelivered is
    skipped, and what is delivered again is counted here."""
    environment.needs_journal()
    rng = random.Random(environment.seed)
    journal = Journal(environment, verdict, 100, 200, delivered_before=50, max="16MiB")
    early, late = _cursors_of_others(environment, verdict)
    name = "out.cursor"
    size = (journal.directory / name).stat().st_size
    half = size // 2

    def overwrite(data, at=0):
        def damage(copy):
            with (copy / name).open("r+b") as cursor:
                cursor.seek(at)
                cursor.write(data)
        return damage

    kinds = {
        "missing": lambda copy: (copy / name).unlink(),
        "empty": lambda copy: (copy / name).write_bytes(b""),
        "short": lambda copy: (copy / name).write_bytes((copy / name).read_bytes()[: half - 3]),
        "zeroed": overwrite(bytes(size)), "first slot zeroed": overwrite(bytes(half)), "second slot zeroed": overwrite(bytes(size - half), half),
        "junk": overwrite(rng.randbytes(size)), "first slot junk": overwrite(rng.randbytes(half)), "second slot junk": overwrite(rng.randbytes(half), half),
        "stale": lambda copy: (copy / name).write_bytes(early), "from the future": lambda copy: (copy / name).write_bytes(late),
        "a directory": lambda copy: ((copy / name).unlink(), (copy / name).mkdir()),
    }
    replayed = {}
    for kind, damage in kinds.items():
        result = journal.trial(damage, (), f"cursor {kind}")
        replayed[kind] = result and result[3]
    verdict.figure("replayed", replayed)


def _cursors_of_others(environment, verdict):
    """Valid cursors, one that stands early and one that stands late."""
    found = []
    for name, count in (("early", 2), ("late", 500)):
        journal = Journal.__new__(Journal)
        journal.environment, journal.verdict, journal.size, journal.settings = environment, verdict, 60, {"max": "16MiB"}
        journal.ledger, journal.output = Ledger(2, 60), environment.directory / f"out-{name}"
        directory = environment.directory / name
        logboom = journal.start(directory, journal.file(), {"type": "null"})
        journal.send(logboom, count)
        until(lambda: logboom.behind() == 0, 10)  # noqa: B023
        logboom.stop()
        found.append((directory / "out.cursor").read_bytes())
    return found


@row(8)
def segments_gone(environment, verdict):
    """The first, a middle or the last segment is deleted, or foreign files lie about: it starts, the rest arrives, the gap is counted, and the
    foreign files stay as they are."""
    environment.needs_journal()
    journal = Journal(environment, verdict, environment.pick(400, 300), 60_000, max="64MiB")
    places = journal.places()
    names = [path.name for path in segments(journal.directory)]
    verdict.figure("segments", len(names))
    verdict.expect(len(names) >= 3, f"only {len(names)} segments: this shows little")
    lost = {}
    for kind, gone in (("first", names[:1]), ("middle", names[len(names) // 2 : len(names) // 2 + 1]), ("last", names[-1:]), ("all", names)):
        def damage(copy, gone=gone):
            for name in gone:
                (copy / name).unlink()
        may_lose = {number for path, _, _, number in places if path.name in gone}
        # Behind the end there may have been nothing.
        result = journal.trial(damage, may_lose, f"{kind} deleted", knowable=kind in ("first", "middle"))
        lost[kind] = result and result[0]
        verdict.expect(lost[kind] == len(may_lose), f"{kind}: {lost[kind]} lost, {len(may_lose)} were deleted")
    verdict.figure("lost", lost)
    foreign = {"notes.txt": b"mine", f"{names[0]}.bak": b"mine", "zzzzzzzzzzzzzzzz.seg": b"mine", "lost+found": None}

    def litter(copy):
        for name, content in foreign.items():
            (copy / name).write_bytes(content) if content is not None else (copy / name).mkdir()

    journal.trial(litter, (), "foreign files")
    copy = environment.directory / "copy"
    untouched = all((copy / name).is_dir() if content is None else (copy / name).read_bytes() == content for name, content in foreign.items())
    verdict.expect(untouched, "a foreign file was touched")


CASES = [torn_tail, bit_flips, cursors, segments_gone]
