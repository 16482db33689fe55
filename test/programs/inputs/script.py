"""A bit of everything: numbers, text, containers, exceptions, threads, modules in C."""
import bz2, collections, decimal, fractions, hashlib, itertools, json, lzma, re, sqlite3, struct, threading, zlib

text = open("text").read()
words = collections.Counter(re.findall(r"[a-z]+", text))
print(words.most_common(5), hashlib.sha3_256(text.encode()).hexdigest(), zlib.crc32(text.encode()))
records = json.load(open("records.json"))
print(sum(r["score"] for r in records), json.dumps(records[3], sort_keys=True))
print(2 ** 2000 % 1000003, fractions.Fraction(355, 113) + 1, decimal.Decimal(2).sqrt())
print([len(f(text[:20000].encode())) for f in (zlib.compress, bz2.compress, lzma.compress)])
print(struct.pack("<dfq", 1.5, 2.5, -1).hex(), list(itertools.islice(itertools.permutations("abc"), 4)))


def deep(n):
    if n == 0:
        raise KeyError("bottom")
    try:
        deep(n - 1)
    finally:
        found.append(n)


found = []
try:
    deep(50)
except KeyError as error:
    print(error, len(found))
results = []
threads = [threading.Thread(target=lambda i=i: results.append(sum(range(i * 1000)))) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(results))
database = sqlite3.connect(":memory:")
database.execute("create table t(a, b)")
database.executemany("insert into t values (?, ?)", ((i, i * i) for i in range(500)))
print(database.execute("select count(*), sum(b) from t where a % 3 = 0").fetchone())
print(sorted(set(text[i:i + 2] for i in range(0, 5000)))[:10], f"{3.14159:>10.3f}|{255:#x}|{'é':^5}|")
