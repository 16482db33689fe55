"""An HTTP client that shows everything: each answer as status, headers and body, ready to compare."""

import http.client
import socket
from dataclasses import dataclass


class Dropped(Exception):
    """The server closed the connection without an answer: what a crash looks like from outside."""

    received = b""  # of an answer that broke off


@dataclass(frozen=True)
class Request:
    path: str
    method: str = "GET"
    headers: tuple = ()
    body: bytes = None

    def __str__(self):
        return f"{self.method} {self.path if len(self.path) < 100 else self.path[:97] + '...'}"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: tuple  # all but Date, in order
    body: bytes

    def __str__(self):
        return f"{self.status} {self.headers} {self.body[:400]!r}"


def fetch(port, request, timeout=20.0):
    """One request on a connection of its own."""
    if isinstance(request, str):
        request = Request(request)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.putrequest(request.method, request.path, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value)
        if request.body is not None:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        response = connection.getresponse()
        body = response.read()
        headers = tuple((n, v) for n, v in response.getheaders() if n.lower() != "date")
        return Answer(response.status, headers, body)
    except (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionResetError,
            BrokenPipeError) as problem:
        dropped = Dropped(f"{request}: {problem}")
        dropped.received = getattr(problem, "partial", b"")
        raise dropped from problem
    finally:
        connection.close()


def exchange(port, sent, timeout=20.0):
    """Sends bytes on a connection of its own; all that comes back until the server closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        received = b""
        try:
            connection.sendall(sent)
            while chunk := connection.recv(65536):
                received += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def is_listening(port):
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
