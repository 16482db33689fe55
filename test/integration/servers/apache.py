"""Stock Debian httpd: foreground, event MPM, its own configuration, loopback only."""

import os
import re

from . import client, maps, process, runtime

httpd = os.environ.get("SELFHEAL_APACHE", "/usr/sbin/apache2")
modules = "/usr/lib/apache2/modules"

configuration = """
ServerRoot "{folder}"
DefaultRuntimeDir "{folder}/run"
PidFile "{folder}/run/apache2.pid"
Listen 127.0.0.1:{port}
ServerName 127.0.0.1
ServerTokens Prod
ErrorLog "{folder}/error.log"
LogLevel notice
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule fragile_module {module}
TypesConfig /etc/mime.types
ServerLimit {children}
StartServers {children}
ThreadLimit {threads}
ThreadsPerChild {threads}
MaxRequestWorkers {workers}
MinSpareThreads 1
MaxSpareThreads {workers}
MaxKeepAliveRequests 0
KeepAliveTimeout 2
GracefulShutdownTimeout 5
DocumentRoot "{folder}/htdocs"
<Directory "{folder}/htdocs">
  Require all granted
</Directory>
<Location /fragile>
  SetHandler fragile
</Location>
"""


class Apache:
    """`folder` may serve several runs one after the other: documents and port stay the same."""

    def __init__(self, folder, module, children=1, threads=4):
        self.folder = folder
        self.port = client.free_port()
        self._process = None
        self._logged = 0
        os.makedirs(os.path.join(folder, "run"), exist_ok=True)
        os.makedirs(os.path.join(folder, "htdocs"), exist_ok=True)
        self.document("index.html", b"<!doctype html><title>front</title><p>Hello.\n")
        self.document("small.txt", b"".join(b"line %d\n" % i for i in range(300)))
        self.document("large.bin", bytes(i * i % 251 for i in range(400_000)))
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        with open(os.path.join(folder, "httpd.conf"), "w", encoding="utf-8") as f:
            f.write(configuration.format(folder=folder, modules=modules, port=self.port, module=module, user=user,
                                         children=children, threads=threads, workers=children * threads))
        self.children_wanted = children

    def document(self, name, content):
        path = os.path.join(self.folder, "htdocs", name)
        with open(path, "wb") as f:
            f.write(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))

    def start(self, environment=None):
        self._logged = len(self.log())
        self._process = process.Process([httpd, "-DFOREGROUND", "-d", self.folder, "-f", self.folder + "/httpd.conf"],
                                        self.folder, "apache", environment or runtime.plain_environment())
        process.wait_for(lambda: not self._process.running() or
                         (client.is_listening(self.port) and len(self.children()) == self.children_wanted),
                         "Apache serves")
        if not self._process.running():
            raise AssertionError(f"Apache ended: {self._process.errors()}{self.log()}")
        return self

    def stop(self):
        if self._process:
            self._process.stop()
            self._process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self._process.pid

    def children(self):
        return maps.children(self._process.pid)

    def fetch(self, request):
        return client.fetch(self.port, request)

    def log(self):
        try:
            with open(os.path.join(self.folder, "error.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def crashes(self):
        """(pid, signal) of each child the error log of this run reports as killed."""
        found = re.findall(r"child pid (\d+) exit signal [^(]*\((\d+)\)", self.log()[self._logged:])
        return [(int(pid), int(signal)) for pid, signal in found]

    def settled(self):
        """Waits until all children are there (the parent looks once a second)."""
        process.wait_for(lambda: len(self.children()) == self.children_wanted, "Apache's children are back")
