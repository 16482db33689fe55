"""What the Apache tests ask for: requests that every server answers, and those that crash a stock one."""

import signal

from servers.client import Request

browser = (("User-Agent", "Testbrowser/1.0"),)

# Answers that depend on the request alone.
plain = [
    Request("/"),
    Request("/small.txt"),
    Request("/large.bin"),
    Request("/small.txt", "HEAD"),
    Request("/large.bin", headers=(("Range", "bytes=1000-70099"),)),
    Request("/small.txt", headers=(("If-Modified-Since", "Fri, 01 Dec 2023 00:00:00 GMT"),)),
    Request("/missing"),
    Request("/small.txt", "POST", body=b"x" * 5000),
    Request("/fragile/city?member=ada"),
    Request("/fragile/city?member=nobody"),
    Request("/fragile/age?team=red"),
    Request("/fragile/age?team=purple"),
    Request("/fragile/vote?member=nobody&box=1"),
    Request("/fragile/browser", headers=browser),
    Request("/fragile/nothing"),
]

# One round of requests changes the module's state and shows it, too.
good = plain + [
    Request("/fragile/vote?member=clara&box=2"),
    Request("/fragile/vote?member=ada&box=0"),
    Request("/fragile/state"),
]

# Request, and the signal that ends a worker which is asked for it.
bad = [
    (Request("/fragile/city?member=ghost"), signal.SIGSEGV),  # NULL dereference
    (Request("/fragile/age?team=green"), signal.SIGFPE),  # division by zero
    (Request("/fragile/vote?member=bruno&box=123456789012"), signal.SIGSEGV),  # wild write, half done
    (Request("/fragile/browser"), signal.SIGSEGV),  # NULL handed to libc
]
