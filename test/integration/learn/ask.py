"""ask.py PORT_FILE REQUESTS: asks the server for each line of the file."""

import sys

from learn_server import ask, wait_for_port

port = wait_for_port(sys.argv[1])
with open(sys.argv[2], encoding="ascii") as requests:
    for request in requests.read().splitlines():
        ask(port, request)
