"""Reading back what logboom wrote: which logger, which request, how often."""

import base64
import json
import re
from collections import Counter

LOGGER = re.compile(r"(?<![a-z])to-((?:http|tcp|otlp)(?:-[a-z]+)*)")
REQUEST = re.compile(r"rid-\d{8}")
# `received: 17 bytes` in a plain line, `"bytes_received":17` where JSON was kept as text.
RECEIVED = re.compile(r'received"?: ?(\d+)')


def read_lines(path):
    """The records of a file; every one must end in a newline."""
    data = path.read_bytes() if path.exists() else b""
    lines = data.split(b"\n")
    if lines.pop() != b"":
        raise ValueError(f"{path.name} ends in half a record")
    return lines


def read_json(path):
    """`(objects, errors)` of a file with one JSON object a line."""
    objects, errors = [], []
    for number, line in enumerate(read_lines(path), 1):
        try:
            value = json.loads(line.decode("utf-8"), parse_constant=_refuse)
            if not isinstance(value, dict):
                raise ValueError("not an object")
            objects.append(value)
        except ValueError as error:
            errors.append(f"{path.name}:{number}: {error}: {line[:120]!r}")
    return objects, errors


def from_otlp_json(request):
    """The records of one `ExportLogsServiceRequest`, in the shape of the `json` encoding."""
    for group in request["resourceLogs"]:
        resource = _pairs(group.get("resource", {}).get("attributes", []))
        for scope in group["scopeLogs"]:
            for record in scope["logRecords"]:
                plain = {"attributes": _pairs(record.get("attributes", [])), "resource": resource}
                if "body" in record:
                    plain["body"] = _any_value(record["body"])
                for name in ("timeUnixNano", "observedTimeUnixNano"):
                    if not isinstance(record.get(name, "0"), str):
                        raise ValueError(f"{name} is not a string")
                yield plain


def mark(record):
    """`(logger, what)`: the logger that wrote a record and the request or connection it is about.
    Either is None when the record does not say."""
    text = "\n".join(_texts(record))
    logger, request = LOGGER.search(text), REQUEST.search(text)
    what = request[0] if request else None
    if logger and "tcp" in logger[1] and not what:
        what = _bytes_received(record, text)
    return logger and logger[1], what


def tally(records):
    """How often each `(logger, what)` occurs, records without a logger or a mark left out."""
    return Counter(found for found in map(mark, records) if None not in found)


def _bytes_received(record, text):
    if match := RECEIVED.search(text):
        return int(match[1])
    # The JSON format keeps the number a number, wherever the record holds it.
    return next((int(value) for key, value in _leaves(record) if key == "bytes_received"), None)


def _texts(value):
    return (str(leaf) for _, leaf in _leaves(value))


def _leaves(value, key=None):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, key)
    else:
        yield key, value


def _pairs(pairs):
    return {pair["key"]: _any_value(pair.get("value", {})) for pair in pairs}


def _any_value(value):
    if len(value) > 1:
        raise ValueError(f"an AnyValue of two kinds: {value}")
    for kind, inner in value.items():
        match kind:
            case "stringValue" | "boolValue" | "doubleValue":
                return inner
            case "intValue":
                return int(inner)
            case "bytesValue":
                return base64.b64decode(inner)
            case "arrayValue":
                return [_any_value(item) for item in inner.get("values", [])]
            case "kvlistValue":
                return _pairs(inner.get("values", []))
            case _:
                raise ValueError(f"unknown kind of AnyValue: {kind}")
    return None


def _refuse(name):
    raise ValueError(f"{name} is not JSON")
