"""The example server of examples/warehouse."""

import os
import re

from . import client, process, runtime

program = os.environ.get("SELFHEAL_WAREHOUSE", "")


class Warehouse:
    def __init__(self, folder, environment=None, name="warehouse", binary=None, files=None, before=()):
        arguments = [*before, binary or program, "--port", "0"]
        if files:
            arguments += ["--files", files]
        self.process = process.Process(arguments, folder, name, environment or runtime.plain_environment())
        try:
            process.wait_for(lambda: "listening on" in self.process.output() or not self.process.running(),
                             "warehouse listens")
            self.port = int(re.search(r"listening on [\d.]+:(\d+)", self.process.output()).group(1))
        except BaseException:
            self.process.stop()
            raise AssertionError(f"warehouse did not start: {self.process.status()} {self.process.errors()}") from None

    def fetch(self, request):
        return client.fetch(self.port, request)

    def stop(self):
        return self.process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def files_folder(folder):
    """A folder for /files/ with one document; `restore` brings the document back after a test cut it."""
    path = os.path.join(folder, "files")
    os.makedirs(path, exist_ok=True)
    restore(path)
    return path


def restore(files):
    with open(os.path.join(files, "price-list.txt"), "wb") as f:
        f.write(b"".join(b"item %05d costs %d\n" % (i, i * 7 % 90) for i in range(800)))


def cut(files):
    os.truncate(os.path.join(files, "price-list.txt"), 0)
