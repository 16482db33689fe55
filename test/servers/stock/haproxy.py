"""Stock Debian haproxy: master and worker, in front of an origin that is another front end of the same."""

import os

from servers import client
from servers.client import Request

from . import web
from .server import Server

configuration = """
global
  master-worker
  nbthread 2
  {user}
  chroot {folder}/empty
  log stdout format raw local0
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  log global
frontend front
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string "hello" if {{ path /hello }}
  http-request deny deny_status 403 if {{ path_beg /secret }}
  http-request redirect location /hello if {{ path /old }}
  compression algo gzip
  compression type text/plain
  default_backend origin
backend origin
  http-request set-header X-Via front
  server one 127.0.0.1:{origin}
frontend origin
  bind 127.0.0.1:{origin}
  http-request return status 200 content-type text/plain lf-file {folder}/small.txt if {{ path /small.txt }}
  http-request return status 200 content-type text/plain lf-string "%[method] %[path] %[req.hdr(x-via)] %[req.hdr(content-length)]"
"""


class Haproxy(Server):
    name = "haproxy"

    def __init__(self, folder):
        super().__init__(folder)
        os.makedirs(self.path("empty"), exist_ok=True)
        self.origin = client.free_port()
        self.write("small.txt", web.small)
        self.write("haproxy.cfg", configuration.format(
            folder=self.folder, port=self.port, origin=self.origin,
            user="user haproxy\n  group haproxy" if os.geteuid() == 0 else ""))

    def command(self):
        return ["/usr/sbin/haproxy", "-W", "-f", self.path("haproxy.cfg")]

    def ready(self):
        # The origin is bound last, so the front is asked once, and logs the same number of connections each time.
        return client.is_listening(self.origin) and client.is_listening(self.port)

    def workload(self):
        def ask(name, request, right, view=web.status_and_body):
            return web.question(self.port, name, request, right, view)

        return [
            ask("answered in front", "/hello", (200, b"hello")),
            ask("denied", "/secret/x", 403, web.status),
            ask("redirect", "/old", 302, web.status),
            ask("origin", "/deep/path?q=1", (200, b"GET /deep/path front ")),
            ask("POST", Request("/post", "POST", body=b"x" * 9000), (200, b"POST /post front 9000")),
            ask("document", "/small.txt", (200, web.small)),
            ask("gzip", Request("/small.txt", headers=(("Accept-Encoding", "gzip"),)), (200, "gzip", web.small),
                web.unpacked),
            *web.garbage_questions(self.port, (b"HTTP/1.1 400 Bad request", b"HTTP/1.1 400 Bad request",
                                               b"HTTP/1.1 400 Bad request")),
        ]
