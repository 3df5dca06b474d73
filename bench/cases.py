"""What is measured. A case is named by its path; what differs from the plain case is its ending.

Plain is: 4 connections; OTLP in requests of 500 records with a text body, 2 in flight on each connection.
"""

from dataclasses import dataclass

NULL = "{{type: 'null'}}"
# No rotation, so that one file holds the run; everything else as a user gets it by default.
FILE = "{{type: file, path: '{file}', encoding: {encoding}, rotate: {{size: 1024GiB}}}}"
OTLP = "{{type: otlp, endpoint: 'http://{upstream}', protocol: grpc, compression: none, wait_max: forever}}"


@dataclass(frozen=True)
class Load:
    """What the generator sends; a yardstick is measured once for each load that a case needs."""

    format: str = "kuma-http"
    connections: int = 4
    batch: int = 500
    body: str = "string"
    streams: int = 2

    @property
    def otlp(self):
        return self.format == "otlp"


def source(load, reads="auto"):
    """The source that takes it; `reads` is its format."""
    words = ["type: otlp, grpc: '127.0.0.1:0'" if load.otlp else "type: lines, listen: '127.0.0.1:0'"]
    words += [] if reads == "auto" else [f"format: {reads}"]
    words += [f"connections_max: {2 * load.connections}"] if load.connections > 200 else []
    return f"{{{', '.join(words)}}}"


@dataclass(frozen=True)
class Case:
    """What to send through what."""

    name: str
    records: int
    load: Load
    sink: str = NULL
    encoding: str = ""
    # null: taken and forgotten; file: written as it came; escaped: written as JSON strings.
    yardstick: str = "null"
    journal: str = ""
    # Of the source: auto or raw.
    reads: str = "auto"
    upstream: bool = False
    # Measured with --quick too.
    quick: bool = False
    peer: str = ""

    @property
    def is_yardstick(self):
        return self.name.startswith("yardstick_")

    @property
    def latency(self):
        """Whether it is measured at half load as well: with the plain number of connections."""
        return self.load.connections <= 64 and not self.peer and (self.load.otlp or self.encoding != "")


def yardstick_name(kind, load):
    """The yardstick of this kind under this load."""
    parts = [f"yardstick_{'otlp' if load.otlp else 'lines'}_{kind}"]
    if load.format == "kuma-json":
        parts.append("of_json")
    if load.body != "string":
        parts.append(load.body)
    if load.otlp and load.batch != 500:
        parts.append(f"batch_{load.batch}")
    if load.connections != 4:
        parts.append(f"connections_{load.connections}")
    return "_".join(parts)


LINES, JSON = Load(), Load("kuma-json")
TEXT, KVLIST = Load("otlp"), Load("otlp", body="kvlist")


def streams(batch, connections=4):
    """As many records in flight as plain, within what one connection may have; of a crowd, a request each."""
    return 1 if connections > 64 else max(2, min(64, 4000 // batch // connections))


def _connections(number):
    return Load(connections=number)


def _batch(number, connections=4):
    return Load("otlp", batch=number, streams=streams(number, connections), connections=connections)


def _cases():
    lines_file = dict(sink=FILE, encoding="raw", yardstick="file")
    json_file = dict(sink=FILE, encoding="json", yardstick="file")
    relay = dict(sink=OTLP, upstream=True)
    return [
        Case("lines_to_null", 4_000_000, LINES),
        Case("lines_to_file_raw", 4_000_000, LINES, **lines_file, quick=True),
        *(
            Case(f"lines_to_file_raw_connections_{number}", 3_000_000, _connections(number), **lines_file)
            for number in (1, 64, 1000)
        ),
        Case("lines_to_file_raw_journal", 3_000_000, LINES, **lines_file, journal="buffered", quick=True),
        Case("lines_to_file_json", 1_000_000, LINES, **{**json_file, "yardstick": "escaped"}, quick=True),
        Case("lines_json_to_file_json", 1_000_000, JSON, **json_file),
        Case("otlp_to_null", 2_000_000, TEXT, quick=True),
        Case("otlp_to_null_batch_17", 500_000, _batch(17)),
        Case("otlp_to_file_json", 1_000_000, TEXT, **json_file, quick=True),
        Case("otlp_to_file_json_kvlist", 600_000, KVLIST, **json_file, quick=True),
        *(
            Case(f"otlp_to_file_json_batch_{number}", records, _batch(number), **json_file, quick=number == 17)
            for number, records in ((1, 60_000), (17, 500_000), (100, 1_000_000), (1000, 1_000_000))
        ),
        Case("otlp_to_file_json_connections_64", 1_000_000, Load("otlp", connections=64, batch=100), **json_file),
        Case("otlp_to_file_otlp_json", 600_000, TEXT, **{**json_file, "encoding": "otlp-json"}),
        Case("otlp_to_file_durable", 600_000, TEXT, **json_file, journal="durable"),
        Case("otlp_to_otlp", 1_000_000, TEXT, **relay, quick=True),
        Case("otlp_to_otlp_batch_17", 400_000, _batch(17), **relay),
        Case("otlp_to_otlp_raw", 2_000_000, TEXT, **relay, reads="raw", quick=True),
        Case("otlp_to_otlp_raw_batch_100", 2_000_000, _batch(100), **relay, reads="raw"),
    ]


CASES = _cases()


def peer_case(name):
    """Lines to a file through another collector, beside ours."""
    return Case(f"peer_{name}_lines_to_file_raw", 2_000_000, LINES, encoding="raw", yardstick="file", peer=name)


def yardsticks(cases):
    """Each yardstick that these cases, or their targets, are compared with; once."""
    wanted = {}
    for case in cases:
        kinds = {case.yardstick} | ({"file"} if case.yardstick == "escaped" else set())
        for kind in sorted(kinds):
            name = yardstick_name(kind, case.load)
            records = max(case.records, 2 * case.records if case.encoding == "json" else 0)
            encoding = "" if kind == "null" else "raw"
            known = wanted.get(name)
            if known is None or known.records < records:
                wanted[name] = Case(name, records, case.load, encoding=encoding, yardstick=kind)
    return list(wanted.values())
