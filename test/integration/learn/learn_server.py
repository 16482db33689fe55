"""The server under test, and asking it."""

import os
import socket
import subprocess
import time

program = os.environ.get("SELFHEAL_PROGRAM", "")


def ask(port, request):
    """The answer, or "" when the server is gone."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(request.encode() + b"\n")
            return connection.recv(100).decode().strip()
    except ConnectionError:
        return ""


def wait_for_port(file, process=None):
    deadline = time.monotonic() + 30
    while not os.path.exists(file):
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            raise AssertionError("the server does not come up")
        time.sleep(0.01)
    with open(file, encoding="ascii") as opened:
        return int(opened.read())


class Server:
    def __init__(self, store, folder, *arguments, options="report=never:hang-seconds=0", executable=program):
        file = os.path.join(folder, "port")
        if os.path.exists(file):
            os.unlink(file)
        self.process = subprocess.Popen([executable, file, *arguments], env=store.environment(options),
                                        stdin=subprocess.DEVNULL)
        self.port = wait_for_port(file, self.process)

    def ask(self, request):
        return ask(self.port, request)

    def end(self):
        self.process.terminate()
        return self.process.wait(timeout=30)
