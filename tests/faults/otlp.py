"""OTLP log requests as bytes, ordinary and hostile ones (opentelemetry-proto, logs v1)."""

RESOURCE_LOGS, RESOURCE, SCOPE_LOGS, LOG_RECORDS, BODY, ATTRIBUTES = 1, 1, 2, 2, 5, 6


def field(number, payload):
    """A field of wire type 2: bytes, text, message."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def text(value):
    """An AnyValue."""
    return field(1, value.encode() if isinstance(value, str) else value)


def key_value(key, value):
    return field(1, key.encode()) + field(2, value)


def record(body, **attributes):
    """A log record with a text or, when given bytes, with any AnyValue as its body."""
    value = body if isinstance(body, bytes) else text(body)
    pairs = (field(ATTRIBUTES, key_value(key, text(one))) for key, one in attributes.items())
    return b"\x09" + (1_795_000_000_000_000_000).to_bytes(8, "little") + field(BODY, value) + b"".join(pairs)


def request(records, resource=b""):
    """One resource, one scope."""
    logs = b"".join(field(LOG_RECORDS, one) for one in records)
    return field(RESOURCE_LOGS, field(RESOURCE, resource) + field(SCOPE_LOGS, logs))


def empty_records(count):
    return field(RESOURCE_LOGS, field(SCOPE_LOGS, b"\x12\x00" * count))


def many_resources(count):
    one = field(RESOURCE_LOGS, field(RESOURCE, field(1, key_value("k", text("v")))) + field(SCOPE_LOGS, field(LOG_RECORDS, record("r"))))
    return one * count


def large_resource(resource_bytes, records):
    return field(RESOURCE_LOGS, field(RESOURCE, field(1, key_value("k", text("x" * resource_bytes)))) + field(SCOPE_LOGS, b"\x12\x00" * records))


def nested(levels):
    """A body of arrays within arrays; built from the inside without copying it at each level."""
    heads, size = [], 0
    for _ in range(levels):
        # AnyValue.array_value = 5 { ArrayValue.values = 1 }
        inner = b"\x0a" + varint(size)
        outer = b"\x2a" + varint(size + len(inner))
        heads += [inner, outer]
        size += len(inner) + len(outer)
    return request([b"\x2a" + varint(size) + b"".join(reversed(heads))])
