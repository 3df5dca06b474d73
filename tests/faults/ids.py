"""The numbered records of `logboom gen --id`, found again."""

import re


class Ids:
    """The numbered records of `gen --id` in files that hold one record a line.

    A line that is not whole has no complete beginning and end, so it counts as torn; so does what
    stands behind the last line feed. Lines that match `besides` are collected.
    """

    _LINE = re.compile(rb'^(?:\[20[^\n]*"c(\d+)-(\d{12})"[^\n]*"|([^\n]*))$', re.MULTILINE)

    def __init__(self, besides=None):
        self.lines = self.duplicates = self.disordered = self.torn = 0
        self.others, self._besides, self._seen, self.torn_examples = [], besides, {}, []

    def feed(self, data):
        """One file, whole."""
        if not data:
            return
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            self._tear(data[whole:])
        if not whole:
            return
        seen = self._seen
        for connection, number, other in self._LINE.findall(data, 0, whole - 1):
            self.lines += 1
            if not connection:
                self._other(other)
                continue
            number, taken = int(number), seen.setdefault(int(connection), bytearray())
            ahead = number - len(taken)
            if ahead >= 0:
                taken.extend(bytes(ahead))
                taken.append(1)
            elif taken[number]:
                self.duplicates += 1
            else:
                self.disordered += 1
                taken[number] = 1

    def _other(self, line):
        if self._besides and re.search(self._besides, line):
            self.others.append(line)
        else:
            self._tear(line)

    def _tear(self, line):
        self.torn += 1
        if len(self.torn_examples) < 3:
            self.torn_examples.append(line[:200])

    def records(self):
        return sum(len(taken) - taken.count(0) for taken in self._seen.values())

    def missing(self, report):
        """How many of the records that gen reports are not there."""
        missing = 0
        for _, last in report["ids"]:
            connection, last = last[1:].split("-")
            taken = self._seen.get(int(connection), b"")[: int(last) + 1]
            missing += int(last) + 1 - (len(taken) - taken.count(0))
        return missing

    def holes(self):
        """Runs of missing numbers, the ends left out."""
        return sum(len(re.findall(rb"\x00+", bytes(taken))) for taken in self._seen.values())


def in_order(verdict, ids, report, shed=0, cut=0):
    """The oracle of a file that must hold everything, or all but what was counted as shed.

    `cut` lines may be torn: gen ends in the middle of one when its time is over while it waits for room.
    """
    verdict.figure("records", report["records"])
    verdict.equal("missing", ids.missing(report), shed)
    verdict.equal("duplicates", ids.duplicates, 0)
    verdict.equal("disordered", ids.disordered, 0)
    if not verdict.equal("torn", ids.torn, cut):
        verdict.expect(False, f"torn, for example: {ids.torn_examples}")
