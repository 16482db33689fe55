"""The folder that a program finds itself in: made from a fixed seed, so that it is the same in every run."""

import json
import os
import random
import shutil
import socket
import subprocess

_files = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "inputs")


def text_of(chance, size):
    words = ["".join(chance.choice("etaoinshrdlucmfwypvbgkqjxz"[: chance.randint(3, 26)])
                     for _ in range(chance.randint(2, 9))) for _ in range(1500)]
    lines, length = [], 0
    while length < size:
        line = " ".join(words[min(int(chance.expovariate(1 / 200)), 1499)] for _ in range(12))
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines) + "\n"


def _records(chance):
    return [{"id": i, "name": f"record {i}", "score": chance.randint(0, 1000), "ratio": chance.random(),
             "tags": chance.sample(["red", "green", "blue", "grün", "синий"], 2), "nested": {"a": [i, i * i, None]}}
            for i in range(150)]


def script_of(chance, rows):
    values = ",".join(f"({i},{chance.randint(0, 999)},'{chance.random():.9f}')" for i in range(rows))
    return ("create table t(id integer primary key, n int, s text);\n"
            f"begin; insert into t values {values}; commit; create index i on t(n, s);\n"
            "select n, count(*), sum(id), avg(length(s)), group_concat(id) from t group by n having count(*) > 8;\n"
            "with recursive f(a, b) as (values(0, 1) union all select b, a + b from f where b < 1e15) "
            "select max(a) from f;\n"
            "update t set s = upper(s) || n where n % 3 = 0; delete from t where id % 7 = 0; vacuum;\n"
            "select a.id, b.id from t a join t b on a.n = b.n and a.id < b.id order by 1 desc, 2 limit 20;\n"
            "select printf('%.15g %s %q', 1e100/3, hex(zeroblob(4)), 'it''s'), "
            "round(2.5), 7 / 2.0, date('2026-01-01', '+1 month');\n")


def program_of(chance, count):
    """A C program of many functions that a compiler has something to do with."""
    functions = []
    for i in range(count):
        a, b, c = (chance.randint(1, 1 << 30) for _ in range(3))
        functions.append(
            f"static unsigned f{i}(unsigned x, const double *d) {{\n  unsigned s = {a};\n"
            f"  for (unsigned i = 0; i < (x & 15) + 3; ++i) {{\n"
            f"    switch ((x + i) % 7) {{ case 0: s += {b} ^ i; break; case 3: s = s << 3 | s >> 29; break;\n"
            f"      case 5: s -= (unsigned)(d[i & 7] * {c % 97}); break; default: s *= i | 1; }}\n  }}\n  return s;\n}}\n")
    calls = "".join(f"  total ^= f{i}(total + {i}, values);\n" for i in range(count))
    return ("#include <stdio.h>\n#include <string.h>\n" + "".join(functions) +
            "int main(void) {\n  double values[8] = {1.5, 2.25, 3, 4, 5, 6, 7, 8};\n  unsigned total = 1;\n" + calls +
            '  printf("%u\\n", total);\n  return 0;\n}\n')


def prepare(folder):
    """Makes what all programs start from, natively."""
    chance = random.Random(1)
    os.makedirs(folder)
    shutil.copytree(_files, folder, dirs_exist_ok=True)
    text = text_of(chance, 200_000)
    made = {"text": text, "data": chance.randbytes(60_000) + bytes(40_000) + text[:50_000].encode(),
            "records.json": json.dumps(_records(chance), ensure_ascii=False), "script.sql": script_of(chance, 4000),
            "program.c": program_of(chance, 5), "digest": bytes(range(32))}
    for name, content in made.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
    for command in (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem "
            "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -days 2",
            "openssl genrsa -out rsa.pem 2048",
            "g++-12 -O1 exceptions.cpp -o program_cpp"):
        subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True)
    for path, _, names in os.walk(folder):
        for name in names:
            os.utime(os.path.join(path, name), (1_700_000_000, 1_700_000_000))


def choose_port(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(os.path.join(folder, "port"), "w", encoding="ascii") as file:
        file.write(f"{port}\n")
