"""Stock Debian lighttpd: one process, loopback only."""

import os
import signal

from . import web
from .server import Server

configuration = """
server.modules = ( "mod_access", "mod_alias", "mod_cgi", "mod_proxy" )
server.document-root = "{folder}/htdocs"
server.errorlog = "{folder}/error.log"
server.bind = "127.0.0.1"
server.port = {port}
server.upload-dirs = ( "{folder}/uploads" )
server.tag = "lighttpd"
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/html", ".txt" => "text/plain", "" => "application/octet-stream" )
alias.url = ( "/cgi/" => "{folder}/cgi/" )
$HTTP["url"] =~ "^/cgi/" {{ cgi.assign = ( "" => "" ) }}
$HTTP["url"] =~ "^/proxied/" {{
  proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => {port} )) )
  proxy.header = ( "map-urlpath" => ( "/proxied/" => "/" ) )
}}
{user}
"""


class Lighttpd(Server):
    name = "lighttpd"
    stop_signal = signal.SIGINT  # waits for connections to end: after SIGTERM the status is 0 or 1 by chance

    def __init__(self, folder):
        super().__init__(folder)
        os.makedirs(self.path("uploads"), exist_ok=True)
        os.chmod(self.path("uploads"), 0o777)
        web.write_documents(self.path("htdocs"))
        self.write("error.log", b"", 0o666)  # opened after root is given up
        self.write("cgi/echo", web.cgi_script, 0o755)
        os.chmod(self.path("cgi"), 0o755)
        if os.geteuid() == 0:
            user = 'server.username = "www-data"\nserver.groupname = "www-data"\n'
        else:
            user = ""
        self.write("lighttpd.conf", configuration.format(folder=self.folder, port=self.port, user=user))

    def command(self):
        return ["/usr/sbin/lighttpd", "-D", "-f", self.path("lighttpd.conf")]

    def log_files(self):
        return [self.path("error.log")]

    def workload(self):
        return [
            *web.static_questions(self.port),
            *web.cgi_questions(self.port),
            web.question(self.port, "proxy", "/proxied/small.txt", (200, web.small)),
            *web.garbage_questions(self.port, (b"HTTP/1.0 400 Bad Request", b"HTTP/1.0 431 Request Header Fields Too Large",
                                               b"HTTP/1.1 400 Bad Request")),
        ]
