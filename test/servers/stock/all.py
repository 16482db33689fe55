"""All stock servers by name, as the tests start them."""

from .apache import Apache
from .haproxy import Haproxy
from .lighttpd import Lighttpd
from .memcached import Memcached
from .named import Named
from .nginx import Nginx
from .postgresql import Postgresql
from .redis import Redis
from .sshd import Sshd

servers = {
    "apache_prefork": lambda folder: Apache(folder, mpm="prefork", children=4),  # one asks itself through the proxy
    "apache_worker": lambda folder: Apache(folder, mpm="worker", children=2),
    "apache_event": lambda folder: Apache(folder, mpm="event", children=2),
    "nginx": Nginx,
    "sshd": Sshd,
    "named": Named,
    "lighttpd": Lighttpd,
    "haproxy": Haproxy,
    "redis": Redis,
    "memcached": Memcached,
    "postgresql": Postgresql,
}
