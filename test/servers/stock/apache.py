"""Stock Debian httpd: foreground, any MPM, its own configuration, loopback only."""

import os
import re

from servers import client, process

from . import web
from .server import Server

httpd = os.environ.get("SELFHEAL_APACHE", "/usr/sbin/apache2")
modules = "/usr/lib/apache2/modules"

configuration = """
ServerRoot "{folder}"
DefaultRuntimeDir "{folder}/run"
PidFile "{folder}/run/apache2.pid"
Mutex file:{folder}/run default
Listen 127.0.0.1:{port}
ServerName 127.0.0.1
ServerTokens Prod
ErrorLog "{folder}/error.log"
LogLevel notice
{user}
{load}
TypesConfig /etc/mime.types
ServerLimit {children}
StartServers {children}
{shape}
MaxKeepAliveRequests 0
KeepAliveTimeout 2
GracefulShutdownTimeout 5
DocumentRoot "{folder}/htdocs"
<Directory "{folder}">
  Require all granted
  AcceptPathInfo Off
</Directory>
<Directory "{folder}/cgi">
  Options +ExecCGI
  SetHandler cgi-script
</Directory>
ScriptAlias /cgi/ "{folder}/cgi/"
{extra}
"""

threaded = """ThreadLimit {threads}
ThreadsPerChild {threads}
MaxRequestWorkers {workers}
MinSpareThreads 1
MaxSpareThreads {workers}"""

processes_only = """MaxRequestWorkers {children}
MinSpareServers 1
MaxSpareServers {children}"""

compression_and_proxy = """
AddOutputFilterByType DEFLATE text/plain
ScriptSock "{folder}/run/cgid.sock"
<Location /proxied/>
  ProxyPass http://127.0.0.1:{port}/
</Location>
"""


class Apache(Server):
    """`locations`: modules of one's own, name -> file; each is the handler of /NAME. `replaced`: stock modules that
    come from another file.
    """

    def __init__(self, folder, locations=None, mpm="event", children=1, threads=4, replaced=None):
        self.name = f"apache-{mpm}"
        super().__init__(folder)
        self.mpm = mpm
        self.replaced = replaced or {}
        self.children_wanted = children
        for sub in ("run", "cgi"):
            os.makedirs(self.path(sub), exist_ok=True)
        web.write_documents(self.path("htdocs"))
        self.write("cgi/echo", web.cgi_script, 0o755)
        shape = processes_only if mpm == "prefork" else threaded
        facts = {"folder": self.folder, "port": self.port, "children": children, "threads": threads,
                 "workers": children * threads}
        extra = compression_and_proxy.format(**facts)
        if mpm == "prefork":
            extra = extra.replace("ScriptSock", "#ScriptSock")
        for name in locations or {}:
            extra += f"<Location /{name}>\n  SetHandler {name}\n</Location>\n"
        self.write("httpd.conf", configuration.format(
            **facts, user="User www-data\nGroup www-data" if os.geteuid() == 0 else "",
            load=self._load(locations or {}), shape=shape.format(**facts), extra=extra))

    def _load(self, locations):
        stock = [f"mpm_{self.mpm}", "authz_core", "mime", "dir", "headers", "alias", "filter", "deflate", "proxy",
                 "proxy_http", "cgi" if self.mpm == "prefork" else "cgid"]
        lines = [f"LoadModule {name}_module {self.replaced.get(name, f'{modules}/mod_{name}.so')}" for name in stock]
        return "\n".join(lines + [f"LoadModule {name}_module {file}" for name, file in locations.items()])

    def command(self):
        return [httpd, "-DFOREGROUND", "-d", self.folder, "-f", self.path("httpd.conf")]

    def log_files(self):
        return [self.path("error.log")]

    def ready(self):
        return client.is_listening(self.port) and len(self.workers()) == self.children_wanted

    def workers(self):
        """Child processes that serve: not the CGI daemon."""
        return [pid for pid in self.children() if not self._is_cgi_daemon(pid)]

    def _is_cgi_daemon(self, pid):
        # It alone of the children keeps the socket for CGI requests open, and has no thread besides its own.
        if self.mpm == "prefork":
            return False
        try:
            return len(os.listdir(f"/proc/{pid}/task")) == 1
        except OSError:
            return True

    def fetch(self, request):
        return client.fetch(self.port, request)

    def log(self):
        return self.said().get("error.log", "")

    def crashes(self):
        """(pid, signal) of each child the error log of this run reports as killed."""
        found = re.findall(r"child pid (\d+) exit signal [^(]*\((\d+)\)", self.log())
        return [(int(pid), int(signal)) for pid, signal in found]

    def settled(self):
        """Also waits until all children are there (the parent looks once a second)."""
        super().settled()
        process.wait_for(lambda: len(self.workers()) == self.children_wanted, "Apache's children are back")

    def workload(self):
        return [
            *web.static_questions(self.port),
            web.gzip_question(self.port),
            *web.cgi_questions(self.port),
            web.question(self.port, "proxy", "/proxied/small.txt", (200, web.small)),
            web.question(self.port, "POST to a document", client.Request("/small.txt", "POST", body=b"x" * 5000),
                         (200, web.small)),
            *web.garbage_questions(self.port, (b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 414 Request-URI Too Long",
                                               b"HTTP/1.1 400 Bad Request")),
        ]
