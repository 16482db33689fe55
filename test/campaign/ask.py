#!/usr/bin/env python3
"""The workload of server.c: ask.py PORT REQUEST ..."""

import socket
import sys


def ask(port, request):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as connection:
            connection.settimeout(2.0)
            connection.sendall(request.encode() + b"\n")
            return connection.recv(100).decode().strip() or None
    except OSError as problem:
        return f"error {type(problem).__name__}"


for name in sys.argv[2:]:
    reply = ask(int(sys.argv[1]), name)
    print(f"{name}\t{'error dropped' if reply is None else reply if reply.startswith(('error', 'refused')) else 'ok ' + reply}")
