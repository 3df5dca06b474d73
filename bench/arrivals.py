"""Whether every record arrived: counted in the file, or known by its number."""

import re

# Not the end of a UUID that happens to be all digits.
ID = re.compile(rb"(?<![0-9a-f])c(\d+)-(\d{12})")
CHUNK = 4 << 20


def count_in_file(path, needle):
    """Occurrences of `needle` in a file of any size."""
    total, tail = 0, b""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            # Too short to hold the needle itself, so nothing counts twice.
            chunk = tail + chunk
            total += chunk.count(needle)
            tail = chunk[len(chunk) - len(needle) + 1 :] if len(needle) > 1 else b""
    return total


def check_numbers(path, ids, *, ordered, lines):
    """Looks for every number from first to last of each connection; returns (missing, what is wrong).

    A record may name its number more than once, beside itself. `lines` says that a record is a line,
    whose first number counts; `ordered` that those of a connection must stand in their order.
    """
    expected = {}
    for first, last in ids:
        connection, low = ID.fullmatch(first.encode()).groups()
        expected[int(connection)] = (int(low), int(ID.fullmatch(last.encode())[2]))
    seen = {connection: bytearray(high - low + 1) for connection, (low, high) in expected.items()}
    newest = {}
    repeated = disordered = strangers = 0
    with open(path, "rb") as file:
        for line in file:
            found = ID.search(line)
            numbers = [found.groups()] if lines and found else ID.findall(line)
            before = None
            for number in numbers:
                if number == before:
                    continue
                before = number
                connection, at = int(number[0]), int(number[1])
                low, high = expected.get(connection, (1, 0))
                if not low <= at <= high:
                    strangers += 1
                    continue
                repeated += seen[connection][at - low]
                seen[connection][at - low] = 1
                disordered += at < newest.get(connection, -1)
                newest[connection] = at
    missing = sum(marks.count(0) for marks in seen.values())
    wrong = {"repeated": repeated, "numbers nobody sent": strangers, "out of order": disordered if ordered else 0}
    return missing, [f"{number} {what}" for what, number in wrong.items() if number]
