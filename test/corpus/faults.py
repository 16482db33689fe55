"""The seeded faults and their right answers.

For each program: requests that bring it into a state (`before`), requests that show it goes on working (`after`), and faults.
A fault is a request that kills the program, and the answers with which the program itself refuses such a request.
`returns` is what kind of function the fault is in, for the table.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    program: str
    name: str
    request: str
    refusal: str  # a regular expression for the whole answer
    returns: str

    def __str__(self):
        return f"{self.program}/{self.name}"


@dataclass(frozen=True)
class Program:
    name: str
    before: tuple
    after: tuple
    faults: tuple


def program(name, before, after, *faults):
    return Program(name, tuple(before), tuple(after), tuple(Fault(name, *fault) for fault in faults))


errno_name = "ERR E[A-Z0-9]+"  # any error, by its name

programs = (
    program(
        "ledger",
        ["TRANSFER anna bert 10.00 rent", "FEE bert 10 2"],
        ["TRANSFER anna shop 1.50USD #3", "STATEMENT shop", "TRANSFER bert anna 99999.00 x", "FEE anna 5 1"],
        ("currency", "TRANSFER anna bert 10.00GBP rent", "ERR bad transfer", "int -1"),
        ("rate", "TRANSFER anna bert 10.00XTS rent", "ERR bad transfer", "int -1"),
        ("memo slot", "TRANSFER anna bert 10.00 #99999999999", "ERR transfer refused", "int -1"),
        ("memo character", "TRANSFER anna bert 10.00 hey!", "ERR transfer refused", "int -1"),
        ("no owner", "TRANSFER ghost bert 10.00 rent", "ERR transfer refused", "int -1"),
        ("fee in no parts", "FEE anna 10 0", "ERR fee refused", "int -1"),
        ("no label", "STATEMENT ghost", "ERR no statement", "pointer")),
    program(
        "unit",
        ["LOAD a.service", "LOAD b.socket", "LOAD c.timer a.service", "SET a.service Timeout 90s"],
        ["START a.service", "START b.socket", "LINK a.service c.timer 1", "SET c.timer Nice high",
         "SET c.timer Description about-time", "LOAD a.service", "SET c.timer Timeout 1min/4"],
        ("name", "LOAD nosuffix", "ERR EINVAL", "bool in an int"),
        ("seconds", "SET a.service Timeout 1min/0", errno_name, "negative errno"),
        ("nice", "SET a.service Nice medium", errno_name, "negative errno"),
        ("description", "SET a.service Description x", errno_name, "negative errno"),
        ("link", "LINK a.service b.socket 99999999999", errno_name, "negative errno"),
        ("alias", "LOAD d.service none.service", errno_name, "error pointer"),
        ("kind", "LOAD e.odd\nSTART e.odd", errno_name, "negative errno"),
        ("share", "SHARE a.service", errno_name, "negative errno")),
    program(
        "notes",
        ["ADD one text:hello", "ADD two text:some-words one", "TAKE 10 8"],
        ["ADD three plain:fine two", "UP two", "FIND two some", "FIND two nothing", "TAKE 5 1", "TAKE 500 1", "ADD four text:$"],
        ("type", "ADD x nocolon", "ERR bad note", "pointer"),
        ("expand", "ADD x text:%7fffffffffff", "ERR bad note", "pointer"),
        ("weigh", "ADD x draft:body", "ERR bad note", "pointer"),
        ("weight", "ADD x text:ab", "ERR cannot be added", "pointer"),
        ("alignment", "TAKE 4 3", "ERR no room", "pointer"),
        ("parent", "UP one", "ERR nothing above", "pointer"),
        ("position", "FIND two some-words", "ERR not in it", "long -1")),
    program(
        "quota",
        ["GRANT ada 20 z", "SET ada size=7"],
        ["GRANT ada 1k z", "GRANT bob 5", "SET bob 2=9", "GIVE ada bob", "SET ada tone", "SET ada size=9000", "GRANT ada 3 o"],
        ("unit", "GRANT ada 20x z", "ERR amount", "bool"),
        ("share", "GRANT eve 2 z", "ERR rule", "bool, by a table"),
        ("motto", "GRANT bob 5 z", "ERR banned", "bool, true refuses"),
        ("setting", "SET ada 9999999999999=3", "ERR setting", "bool"),
        ("parts", "SET ada size=3=4", "ERR setting", "bool with out-parameters"),
        ("far over", "GRANT bob 470 z", "ERR rule", "bool, by a table"),
        ("right", "GIVE eve ada", "ERR right", "int 1 is yes")),
    program(
        "router",
        ["GET /a . 123", "PUT /b h:u=2 . 3 9"],
        ["GET /c x:u=1 . ab", "PUT /d . 5 1", "MOVE /e . 1", "GET /f.x . 1", "GET /f.t . 1", "GET /g . ?",
         "GET bad", "POST /", "GET /h a:b . 1"],
        ("method", "XY /a . 1", "ERR method", "enum, 0 is failure"),
        ("header", "GET /a novalue . 1", "ERR header", "enum in a switch"),
        ("path", "GET /~a . 1", "ERR (too-long|bad-name|internal)", "enum, others are names"),
        ("user", "GET /a h:u=9999999999 . 1", "ERR (500|403|400)", "OK or DECLINED or status"),
        ("row", "GET /a . 12@", "ERR 400", "code, neither of two"),
        ("suffix", "GET /a. . 1", "ERR (500|403)", "enum by a table"),
        ("store", "PUT /a . 99999999999 1", "ERR (500|400|403)", "HTTP status")),
    program(
        "codec",
        ["FIELD 5:hello", "ENCODE abcdef 2"],
        ["FIND c", "FIND z", "SKIP ab<d", "SKIP A", "SUM 3,4", "SUM 3", "PAD text 2", "CHECK 1", "SHOW wide", "FIELD 9:x"],
        ("field", "FIELD 5*hello", "ERR bad field", "ssize_t"),
        ("encode", "ENCODE abcdef 0", "ERR not encoded", "size_t, 0"),
        ("find", "ENCODE a!b 2\nFIND !", "ERR nowhere", "size_t, all ones"),
        ("skip", "SKIP ab\\", "ERR bad text", "ssize_t, 0 is the end"),
        ("numbers", "SUM 3,4,5", "ERR not two numbers", "size_t, a count"),
        ("pad", "PAD text 0", "ERR does not fit", "int as snprintf's"),
        ("checksum", "CHECK 5 ~", "ERR checksum", "a number compared"),
        ("width", "SHOW w\xe4de", "ERR.*", "no failure: a pure function")),
    program(
        "errors",
        ["ADD one 10 100", "OWNER one me"],
        ["ADD two 5 50", "ADD two 5 50", "ADD big 1000 1", "FLAG one r", "FLAG one w", "OWNER two", "RATIO 4/2", "RATIO -", "TABLE 123",
         "TABLE 1?"],
        ("no pages", "ADD x 0 10", "ERR add: .+", "bool and error object"),
        ("no name", "ADD x--long 5 50", "ERR add: .+", "pointer and error object"),
        ("owner", "OWNER one #99999999999", "ERR owner: .+", "int and error object"),
        ("flag", "FLAG one z", "ERR flag: .*", "error object taken for granted"),
        ("number", "RATIO a/2", "ERR bad ratio", "void, error flag in a struct"),
        ("ratio", "RATIO 4/0", "ERR bad ratio", "void, error flag in a struct"),
        ("table", "TABLE 12@4", "ERR bad table", "void, error by longjmp")),
    program(
        "pool",
        ["PUT a 5", "NAME one"],
        ["PUT b 7", "NAME two", "DIVIDE 0 2", "DIVIDE 99 2", "COUNT abc", "COUNT a-", "SORT one two three", "SORT one", "WHAT x", "PUT c -1"],
        ("put", "PUT nocolon 200", "ERR job", "result stored in the job"),
        ("divide", "DIVIDE 0 0", "ERR job", "int -1, in a thread"),
        ("name", "NAME @0x7fffffffffff", "ERR job", "int -1, in a thread"),
        ("count", "COUNT a!", "ERR job", "a thread's start routine"),
        ("compare", "SORT * a", "ERR job", "comparison for qsort"),
        ("job", "OTHER x", "ERR no such job", "pointer")),
    program(
        "visitors",
        ["INSERT m 10 note", "INSERT c 20 other", "INSERT x 30"],
        ["INSERT d 5 n", "INSERT d 5 n", "INSERT 7 1", "SCALE 2 1000", "SCALE 2 3", "MARK 1", "SELECT mc", "SELECT", "SUM l", "SUM",
         "WHAT"],
        ("notes", "NOTES", "ERR code -?[1-9].*", "call-back, 0 goes on"),
        ("scale", "SCALE 0 1000", "ERR code [1-9].*", "call-back, 0 goes on"),
        ("mark", "MARK 99999999999", "ERR code [1-9].*", "call-back, 0 goes on"),
        ("wanted", "SELECT !", "ERR code [1-9].*", "no failure: a filter"),
        ("place", "INSERT ~ 1", "ERR code [78]", "pointer to pointer"),
        ("sum", "SUM llll", "ERR code [1-9].*", "by a table, handed on")),
    program(
        "shop",
        ["ORDER nails 10 2 A hello", "SHOW paint s A"],
        ["ORDER paint 2 1 S note", "ORDER paint 99 1 A note", "ORDER relic 1 1 A x", "SHOW nails l A", "SHOW nails", "BATCH 10 3",
         "LAST nails", "LAST relic", "ORDER nails 3 1 TOOLONGCODE x", "ORDER nails 1 1 A a-note-that-is-much-too-long"],
        ("find", "SHOW 50% s A", "ERR no such item", "pointer, a method"),
        ("reserve", "ORDER nails 5 1 A note #99999999999", "ERR not reserved", "bool, under a guard"),
        ("price", "ORDER nails 5 0 A note", "ERR no price", "int -1"),
        ("discount", "SHOW relic s S", "ERR no discount", "optional<int>"),
        ("make order", "ORDER paint 1 1 A see-last", "ERR no order", "unique_ptr"),
        ("label", "SHOW paint q A", "ERR no label", "string"),
        ("batches", "BATCH 10 0", "ERR no batches", "vector"),
        ("last", "LAST nails !", "ERR none", "shared_ptr")),
    program(
        "accounts",
        ["OPEN ann", "OPEN bea", "PAY ann 100 1 w . 1"],
        ["PAY ann 50$ 2 w . 2", "PAY bea 13 1 w . 1", "PAY bea 2000000 1 w . 1", "PAY bea 5 1 b . 1", "PAY bea 5 1 w x 1",
         "PAY bea 5 1 w .", "MEAN ann a", "PREFIX ann a:b", "PREFIX ann ab", "REPEAT ann 4", "REPEAT ann -4"],
        ("parse", "PAY ann 100Y 1 w . 1", "ERR amount", "struct, hidden pointer"),
        ("limit", "PAY ann 100 0 w . 1", "ERR limit", "struct in two registers"),
        ("book", "PAY ann 100 1 w . 99999999999", "ERR booking .*", "error_code"),
        ("validate", "PAY ann 100 1 w t 1", "ERR .*", "void, throws"),
        ("mean", "MEAN bea a", "ERR .*", "variant"),
        ("rule", "PAY ann 100 1 ! . 1", "ERR rule", "enum class, virtual"),
        ("hook", "PAY ann 999999 1 w . 1", "ERR hook", "bool, std::function"),
        ("prefix", "PREFIX ann a::b", "ERR no prefix", "string_view"),
        ("repeat", "REPEAT ann 0", "ERR .*", "int, throws")),
    program(
        "calc",
        ["ADD 1 + 2.5", "RECALL 1"],
        ["ADD 1 + 1", "ADD 9 + 1", "ADD 1 + x", "ADD 1 * 2", "RECALL 150", "PICK abc 1", "PICK abc -1", "STEPS 10 3", "STEPS 99999 1"],
        ("number", "ADD 1 + @7", "ERR no number", "double, NAN"),
        ("recall", "RECALL 99999", "ERR nothing there", "long, negative"),
        ("pick", "PICK a 1", "ERR none", "char"),
        ("steps", "STEPS 10 0", "ERR too many", "float, HUGE_VALF"),
        ("store", "ADD 1 ~ 2", "ERR not stored", "bool")),
)
