"""A server confined as Debian's unit for it says, with the drop-in of packaging/systemd: nothing of that is loosened,
and it records, patches and heals all the same."""

import signal
import socket
import subprocess
import sys

from servers import case, process, runtime
from stock import restricted
from stock.question import put
from stock.redis import Redis, encode


class Units(case.Case):
    def test_redis(self):
        """MemoryDenyWriteExecute= and SystemCallFilter=: what is not listed kills."""
        unit = "unit:redis-server"
        forbidden = "import os; os.setpriority(os.PRIO_PROCESS, 0, 1)"  # one of ~@resources
        died = subprocess.run([sys.executable, restricted.__file__, unit, sys.executable, "-c", forbidden],
                              env=runtime.plain_environment(), timeout=60, check=False)
        self.assertEqual(died.returncode, -signal.SIGSYS, "the filter is in force")

        server = Redis(self.folder)
        server.restriction = unit
        with server.start():
            reference = put(server.workload())
        self.assertEqual(server.last_status, 0)

        server.start(self.store().environment())
        put(server.workload(), reference)
        with self.assertRaises(ConnectionError):
            server.call("DEBUG", "SEGFAULT")
        self.assertEqual(server.wait(), -signal.SIGSEGV)
        server.stop()
        self.assertEqual(self.heals(), [0])

        with server.start(self.store().environment()):
            put(server.workload(), reference)
            with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
                connection.sendall(encode("DEBUG", "SEGFAULT"))  # whose handler answers nothing now
                process.wait_for(lambda: self.heals() == [1], "the crash is healed")
            put(server.workload(), reference)
        self.assertEqual(server.last_status, 0)

    def heals(self):
        return [region["heals"] for region in self.store().regions()]


if __name__ == "__main__":
    case.main()
