"""What all web servers here serve, and what is asked of them."""

import gzip
import os

from servers import client
from servers.client import Request

from .question import Question

front = b"<!doctype html><title>front</title><p>Hello.\n"
small = b"".join(b"line %d\n" % i for i in range(300))
large = bytes(i * i % 251 for i in range(400_000))
changed = 1_700_000_000  # of every document


def write_document(folder, name, content):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(content)
    os.utime(path, (changed, changed))


def write_documents(folder):
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    write_document(folder, "index.html", front)
    write_document(folder, "small.txt", small)
    write_document(folder, "large.bin", large)


def status(answer):
    return answer.status


def status_and_body(answer):
    return answer.status, answer.body


def unpacked(answer):
    """(status, Content-Encoding, unpacked body)"""
    coding = dict((n.lower(), v) for n, v in answer.headers).get("content-encoding")
    return answer.status, coding, gzip.decompress(answer.body) if coding == "gzip" else answer.body


def question(port, name, request, right, view=status_and_body):
    return Question(name, lambda: client.fetch(port, request), right, view)


def static_questions(port):
    """Of documents, for a server with `write_documents` in its document root."""
    unchanged = ("If-Modified-Since", "Tue, 14 Nov 2023 22:13:20 GMT")  # as `changed`
    return [
        question(port, "front page", "/", (200, front)),
        question(port, "static file", "/small.txt", (200, small)),
        question(port, "large static file", "/large.bin", (200, large)),
        question(port, "HEAD", Request("/small.txt", "HEAD"), (200, b"")),
        question(port, "range", Request("/large.bin", headers=(("Range", "bytes=1000-70099"),)),
                 (206, large[1000:70100])),
        question(port, "last bytes", Request("/small.txt", headers=(("Range", "bytes=-10"),)), (206, small[-10:])),
        question(port, "range beyond the end", Request("/small.txt", headers=(("Range", "bytes=999999-"),)), 416,
                 status),
        question(port, "not modified", Request("/small.txt", headers=(unchanged,)), (304, b"")),
        question(port, "missing", "/missing", 404, status),
        question(port, "up and out", "/../../etc/passwd", 400, lambda a: 400 if a.status in (400, 403, 404) else a),
    ]


def gzip_question(port):
    return question(port, "gzip", Request("/small.txt", headers=(("Accept-Encoding", "gzip"),)), (200, "gzip", small),
                    unpacked)


cgi_script = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
printf '%s %s\\n' "$REQUEST_METHOD" "$QUERY_STRING"
wc -c
"""


def cgi_questions(port, path="/cgi/echo"):
    return [
        question(port, "CGI", path + "?a=b", (200, b"GET a=b\n0\n")),
        question(port, "POST to CGI", Request(path, "POST", body=b"x" * 70_000), (200, b"POST \n70000\n")),
    ]


def garbage_questions(port, replies):
    """Bytes that are no request; `replies` are the first lines the server answers with."""
    return [Question(f"garbage {number}", lambda b=sent: first_line(port, b), reply)
            for number, (sent, reply) in enumerate(zip(garbage, replies))]


garbage = (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
           b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n")


def first_line(port, sent):
    reply = client.exchange(port, sent)
    return reply.split(b"\r\n", 1)[0]
