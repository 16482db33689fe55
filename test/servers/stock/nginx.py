"""Stock Debian nginx: master and workers in the foreground, loopback only."""

import os

from servers import client
from servers.client import Request

from . import web
from .server import Server

configuration = """
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
{user}
{load}
events {{ worker_connections 256; }}
http {{
  include /etc/nginx/mime.types;
  access_log off;
  client_body_temp_path {folder}/temp/body;
  proxy_temp_path {folder}/temp/proxy;
  fastcgi_temp_path {folder}/temp/fastcgi;
  uwsgi_temp_path {folder}/temp/uwsgi;
  scgi_temp_path {folder}/temp/scgi;
  server_tokens off;
  gzip on;
  gzip_types text/plain;
  server {{
    listen 127.0.0.1:{port};
    root {folder}/htdocs;
    location /proxied/ {{ proxy_pass http://127.0.0.1:{port}/; }}
    location = /echo {{ return 200 "$request_method $content_length\\n"; }}
    location = /post {{ proxy_pass http://127.0.0.1:{port}/echo; }}
    location /secret/ {{
      alias {folder}/htdocs/;
      auth_basic "secret";
      auth_basic_user_file {folder}/passwords;
    }}
{locations}
  }}
}}
"""


class Nginx(Server):
    """`locations`: modules of one's own, name -> file; each is the handler (a directive of that name) of /NAME."""

    name = "nginx"
    by_chance = r"signal \d+ \(SIG(CHLD|IO)\)"  # two children that end at once may make one signal

    def __init__(self, folder, locations=None, workers=2, program="/usr/sbin/nginx"):
        super().__init__(folder)
        self.program = program
        self.workers_wanted = workers
        os.makedirs(self.path("temp"), exist_ok=True)
        os.chmod(self.path("temp"), 0o777)
        web.write_documents(self.path("htdocs"))
        self.write("passwords", "ada:{PLAIN}lovelace\n")
        locations = locations or {}
        self.write("nginx.conf", configuration.format(
            folder=self.folder, port=self.port, workers=workers,
            user="user www-data;" if os.geteuid() == 0 else "",
            load="".join(f"load_module {file};\n" for file in locations.values()),
            locations="".join(f"    location /{name} {{ {name}; }}\n" for name in locations)))

    def command(self):
        return [self.program, "-p", self.folder, "-c", self.path("nginx.conf"), "-e", self.path("error.log")]

    def log_files(self):
        return [self.path("error.log")]

    def ready(self):
        return client.is_listening(self.port) and len(self.children()) == self.workers_wanted

    def workload(self):
        ada = ("Authorization", "Basic YWRhOmxvdmVsYWNl")
        return [
            *web.static_questions(self.port),
            web.gzip_question(self.port),
            web.question(self.port, "proxy", "/proxied/large.bin", (200, web.large)),
            web.question(self.port, "POST", Request("/post", "POST", body=b"x" * 70_000), (200, b"POST 70000\n")),
            web.question(self.port, "POST to a document", Request("/small.txt", "POST", body=b"x"), 405, web.status),
            web.question(self.port, "no password", "/secret/small.txt", 401, web.status),
            web.question(self.port, "password", Request("/secret/small.txt", headers=(ada,)), (200, web.small)),
            *web.garbage_questions(self.port, (b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 414 Request-URI Too Large",
                                               b"HTTP/1.1 400 Bad Request")),
        ]
