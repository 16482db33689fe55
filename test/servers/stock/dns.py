"""A DNS client that shows whole answers (RFC 1035, 1995 for transfers): sections, sorted, as text."""

import ipaddress
import socket
import struct

types = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "AXFR": 252, "ANY": 255}
names = {number: name for name, number in types.items()}
codes = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH"}
sections = ("answer", "authority", "additional")


def encode_name(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def query(name, kind, number=0x1234):
    return struct.pack(">6H", number, 0, 1, 0, 0, 0) + encode_name(name) + struct.pack(">HH", types[kind], 1)


def read_name(message, at):
    """(name, offset behind it)"""
    labels, behind = [], None
    while True:
        length = message[at]
        if length >= 0xC0:
            behind = behind or at + 2
            at = (length & 0x3F) << 8 | message[at + 1]
        elif length:
            labels.append(message[at + 1:at + 1 + length].decode("latin-1"))
            at += 1 + length
        else:
            return ".".join(labels) + ".", behind or at + 1


def read_data(message, at, length, kind):
    end = at + length
    if kind in ("A", "AAAA"):
        return str(ipaddress.ip_address(message[at:end]))
    if kind in ("NS", "CNAME"):
        return read_name(message, at)[0]
    if kind == "MX":
        return f"{int.from_bytes(message[at:at + 2], 'big')} {read_name(message, at + 2)[0]}"
    if kind == "SOA":
        primary, at = read_name(message, at)
        person, at = read_name(message, at)
        return " ".join([primary, person, *map(str, struct.unpack_from(">5I", message, at))])
    if kind == "TXT":
        strings = []
        while at < end:
            strings.append(message[at + 1:at + 1 + message[at]].decode())
            at += 1 + message[at]
        return " ".join(f'"{s}"' for s in strings)
    return message[at:end].hex()


def parse(message):
    """(rcode, authoritative, truncated, sorted records as (section, name, type, ttl, data))"""
    _, flags, questions, *counts = struct.unpack_from(">6H", message)
    at = 12
    for _ in range(questions):
        at = read_name(message, at)[1] + 4
    records = []
    for section, count in zip(sections, counts):
        for _ in range(count):
            name, at = read_name(message, at)
            number, _, ttl, length = struct.unpack_from(">HHIH", message, at)
            kind = names.get(number, f"TYPE{number}")
            records.append((section, name, kind, ttl, read_data(message, at + 10, length, kind)))
            at += 10 + length
    return codes.get(flags & 15, flags & 15), bool(flags & 0x400), bool(flags & 0x200), tuple(sorted(records))


def over_udp(port, message, timeout=20.0):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.sendto(message, ("127.0.0.1", port))
        return s.recv(65535)


def _receive(connection, count):
    received = b""
    while len(received) < count:
        chunk = connection.recv(count - len(received))
        if not chunk:
            raise ConnectionError("closed in the middle of an answer")
        received += chunk
    return received


def over_tcp(port, message, last=lambda answers: True, timeout=20.0):
    """All messages that come back, until `last` says that they are complete."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(len(message).to_bytes(2, "big") + message)
        answers = []
        while True:
            answers.append(_receive(connection, int.from_bytes(_receive(connection, 2), "big")))
            if last(answers):
                return answers


def transfer(port, zone):
    """An AXFR: its rcode and records, sorted; the SOA comes first and last, and so twice."""
    def complete(answers):
        parsed = [parse(a) for a in answers]
        return parsed[0][0] != "NOERROR" or sum(r[2] == "SOA" for p in parsed for r in p[3]) == 2

    parsed = [parse(a) for a in over_tcp(port, query(zone, "AXFR"), complete)]
    return parsed[0][0], tuple(sorted(r for p in parsed for r in p[3]))
