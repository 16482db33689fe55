"""What the warehouse tests ask for. `good` changes nothing; each bad request has a bug of its own."""

import signal

from servers.client import Request

good = [
    Request("/"),
    Request("/items"),
    Request("/items/nails"),
    Request("/items/gold"),
    Request("/supplier/bread"),
    Request("/supplier/gold"),
    Request("/average/food"),
    Request("/average/air"),
    Request("/label/nails?unit=pcs"),
    Request("/label/gold?unit=pcs"),
    Request("/sum?of=(1%2B2)*(3-(4*5))"),
    Request("/sum?of=(1%2B2"),
    Request("/order?item=nails&count=100000&shelf=0", "POST"),
    Request("/order?item=nails", "GET"),
    Request("/files/price-list.txt"),
    Request("/files/..%2fwarehouse.out"),
    Request("/orders"),
]

order = Request("/order?item=nails&count=3&shelf=2", "POST")
orders = Request("/orders")
price_list = Request("/files/price-list.txt")

bad = {
    "null": (Request("/supplier/lantern"), signal.SIGSEGV),
    "divide": (Request("/average/outdoor"), signal.SIGFPE),
    "wild write": (Request("/order?item=bread&count=2&shelf=98765432109", "POST"), signal.SIGSEGV),
    "trap": (Request("/label/nails?unit=x"), signal.SIGILL),
    "stack": (Request("/sum?of=" + "(" * 15000), signal.SIGSEGV),
    "bus": (price_list, signal.SIGBUS),  # once its file was cut
}
