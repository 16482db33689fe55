"""`selfheal run` as the first process of a container, as packaging/container/Containerfile has it.

The container is bubblewrap's: a file system of its own with Debian's /usr and what `cmake --install` lays down, and
a process namespace in which the entry point of the recipe is process 1.
"""

import json
import os
import re
import signal
import subprocess

from servers import case, client, maps, process, runtime, warehouse


def entry_point():
    with open(os.environ["SELFHEAL_CONTAINERFILE"], encoding="utf-8") as f:
        return json.loads(re.search(r"^ENTRYPOINT (.*)$", f.read(), re.MULTILINE).group(1))


class Container(case.Case):
    def setUp(self):
        self.image = os.path.join(self.folder, "image")
        self.volume = os.path.join(self.folder, "volume")
        os.mkdir(self.volume)
        subprocess.run(["cmake", "--install", os.environ["SELFHEAL_BINARY_DIR"], "--prefix", self.image], check=True,
                       capture_output=True, timeout=60)

    def start(self, *command):
        """Starts a container; it is killed at the test's end, when it has not ended."""
        links = [word for name in ("bin", "sbin", "lib", "lib64") for word in ("--symlink", f"usr/{name}", f"/{name}")]
        container = process.Process(
            ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--die-with-parent",
             "--ro-bind", "/usr", "/usr", *links, "--ro-bind", self.image, "/usr/local", "--proc", "/proc",
             "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/srv", "--ro-bind", warehouse.program, "/srv/warehouse",
             "--bind", self.volume, "/var/lib/selfheal", "--clearenv",
             "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin", *entry_point(), *command],
            self.folder, "container", runtime.plain_environment())
        self.addCleanup(lambda: container.running() and container.stop(signal.SIGKILL))
        return container

    def first_process(self, container):
        """Process 1 of the container, by its number outside."""
        def look():
            return next((pid for pid in maps.children(container.pid) if maps.program(pid).endswith("/bin/selfheal")), 0)
        pid = process.wait_for(look, f"the command runs: {container.errors()}")
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            numbers = re.search(r"^NSpid:\s+(.*)$", f.read(), re.MULTILINE).group(1).split()
        self.assertEqual(numbers[-1], "1")
        return pid

    def written(self, name):
        return os.path.exists(os.path.join(self.volume, name))

    def test_it_heals_on_the_second_crash(self):
        port = client.free_port()
        container = self.start("/srv/warehouse", "--port", str(port))
        process.wait_for(lambda: client.is_listening(port), "the server listens")
        first = self.first_process(container)
        with self.assertRaises(client.Dropped):
            client.fetch(port, "/supplier/lantern")
        # The one that dies may still take a connection.
        process.wait_for(lambda: "restart 1 in" in container.errors(), "the server has died")
        process.wait_for(lambda: client.is_listening(port), "the server was started again")
        server = maps.children(first)
        for _ in range(3):
            self.assertEqual(client.fetch(port, "/supplier/lantern").status, 404)
            self.assertEqual(client.fetch(port, "/supplier/bread").body, b"bread comes from Miller & Sons\n")
        self.assertEqual(maps.children(first), server)
        region, = runtime.Store(self.volume).regions()
        self.assertEqual((region["faults"], region["heals"]), (1, 3))
        os.kill(first, signal.SIGTERM)
        self.assertEqual(container.wait(), 0, container.errors())

    def test_it_reaps_orphans(self):
        orphans = "for i in 1 2 3; do (sh -c 'until [ -e /var/lib/selfheal/go ]; do sleep 0.05; done' &); done"
        container = self.start("sh", "-c", f"{orphans}; > /var/lib/selfheal/ready; exec sleep 1000")
        first = self.first_process(container)
        process.wait_for(lambda: self.written("ready"), "the program is ready")
        process.wait_for(lambda: len(self.of(first)) == 4, "the orphans are the first process's")
        with open(self.volume + "/go", "w", encoding="ascii"):
            pass
        process.wait_for(lambda: len(self.of(first)) == 1, "the orphans are buried")

    @staticmethod
    def of(parent):
        """Children, zombies too."""
        with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as f:
            return f.read().split()

    def test_it_passes_signals_on(self):
        script = ("trap '> /var/lib/selfheal/hup' HUP; trap '> /var/lib/selfheal/term; exit 0' TERM; "
                  "> /var/lib/selfheal/ready; while :; do sleep 1000 & wait $!; kill $!; done")
        container = self.start("sh", "-c", script)
        first = self.first_process(container)
        process.wait_for(lambda: self.written("ready"), "the program is ready")
        os.kill(first, signal.SIGHUP)
        process.wait_for(lambda: self.written("hup"), "SIGHUP has arrived")
        os.kill(first, signal.SIGTERM)  # podman stop
        self.assertEqual(container.wait(), 0, container.errors())
        self.assertTrue(self.written("term"))


if __name__ == "__main__":
    case.main()
