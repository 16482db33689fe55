"""Drivers for stock Debian servers: each has a configuration of its own, a free port and a workload.

server     what all have in common: start, stop, processes, log lines without pids and times
question   a thing to ask a server and the one right answer
private    a mount namespace with files of one's own in the place of the system's
web        the pages and questions that all web servers share
dns        a DNS client that shows whole answers
apache nginx lighttpd haproxy named sshd redis memcached postgresql   the servers
"""
