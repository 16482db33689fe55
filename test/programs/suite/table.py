"""The programs: what is run, and how much of it must have been done by the engine.

`script` is for `sh -eu`, in a folder that holds what inputs.py makes and the files of ../inputs. Everything the script
writes is compared: standard output and error, status, and every file it leaves. What differs from one native run to
the next is taken out by `noise` (regular expressions, applied to output) and `unstable` (file patterns).
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    regions: tuple       # PROGRAM (its file's name) for `main`, or MODULE!FUNCTION
    script: str
    instructions: int    # that the engine must at least have run, all processes together
    quick: bool = False  # also in continuous integration
    noise: tuple = ()
    unstable: tuple = ()


_seconds = r"\d+(\.\d+)? ?(ms|sec|s|seconds?)\b"

_openssl_tls = """
port=$(cat port)
openssl s_server -accept 127.0.0.1:$port -cert cert.pem -key key.pem -naccept 1 -rev > server 2>&1 &
until grep -qs ACCEPT server; do sleep 0.1; done
(printf 'abc\\nhello engine\\n'; sleep 1) | openssl s_client -connect 127.0.0.1:$port -CAfile cert.pem \\
    -verify_return_error -quiet -no_ign_eof 2> client_errors
wait $!
"""

_git = """
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
git init -q -b main repository
cd repository
git config user.name Engine; git config user.email engine@example.org; git config pack.threads 1
cp ../text . && git add text && git commit -qm 'first'
head -c 50000 ../text > text && cp ../data . && git add -A && git commit -qm 'second'
git checkout -q -b side HEAD~1 && echo line >> text && git commit -qam 'third'
git log --oneline --all --graph --stat
git diff main side --stat
git merge -q main -m merge || { git checkout -q --theirs text && git add text && git commit -qm merged; }
git gc -q
git fsck --full
git rev-parse HEAD && git status --short && git cat-file -p HEAD
git count-objects -v | grep -v size
"""

table = [
    Program("gzip", ("gzip",), "gzip -9nkv text data; gzip -l text.gz; gzip -dc text.gz | cmp - text", 20_000_000, True),
    Program("xz", ("xz",), "xz -3k -T1 text; xz -lv text.xz; xz -dc text.xz | cmp - text", 30_000_000, True),
    # Threads run natively beside `main`, but for what of their work has a name to be run by.
    Program("xz, two threads", ("xz",), "xz -2k -T2 --block-size=100KiB text; xz -T2 -dc text.xz | cmp - text", 100_000,
            True),
    Program("zstd", ("zstd",), "zstd -q -9 text data; zstd -qt text.zst; zstd -qdc text.zst | cmp - text", 10_000_000, True),
    Program("bzip2", ("bzip2",), "bzip2 -k text data; bzip2 -tv text.bz2; bzip2 -dc text.bz2 | cmp - text",
            20_000_000, True),
    Program("pigz", ("pigz", "libz.so.1!deflate"), "pigz -kn -p 3 -b 64 text; pigz -dc text.gz | cmp - text",
            10_000_000, True),

    Program("openssl dgst", ("openssl",), """
for digest in md5 sha1 sha224 sha256 sha384 sha512 sha3-256 shake256 blake2b512 blake2s256 ripemd160 sm3; do
  openssl dgst -$digest text data
done
openssl dgst -sha256 -hmac key data
openssl dgst -sha256 -sign key.pem -out signature text; openssl dgst -sha256 -prverify key.pem -signature signature text
""", 5_000_000, True, unstable=("signature",)),
    Program("openssl enc", ("openssl",), """
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
for cipher in aes-128-cbc aes-256-cbc aes-256-ctr aes-256-cfb chacha20 camellia-256-cbc aria-256-ctr sm4-cbc; do
  openssl enc -$cipher -K $(printf %.$(case $cipher in aes-128*|sm4*) echo 32;; *) echo 64;; esac)s $key) \\
    -iv 000102030405060708090a0b0c0d0e0f -in data -out $cipher
  openssl enc -d -$cipher -K $(printf %.$(case $cipher in aes-128*|sm4*) echo 32;; *) echo 64;; esac)s $key) \\
    -iv 000102030405060708090a0b0c0d0e0f -in $cipher | cmp - data
done
openssl enc -aes-256-cbc -pbkdf2 -iter 1000 -S 0011223344556677 -pass pass:secret -in text -out with_password
""", 5_000_000),
    Program("openssl speed", ("openssl",), "openssl speed -seconds 1 -bytes 1024 -evp aes-256-gcm; "
            "openssl speed -seconds 1 ecdsap256", 1_000_000,
            noise=(r"\d[\d.k]*", " +", r"(?m)^(version|built on|options|compiler|CPUINFO).*$")),
    Program("openssl RSA and primes", ("openssl",), """
openssl rsa -in rsa.pem -check -noout; openssl prime -checks 20 170141183460469231731687303715884105727
openssl pkeyutl -sign -inkey rsa.pem -in digest -pkeyopt digest:sha256 -out signed
openssl pkeyutl -verify -inkey rsa.pem -in digest -pkeyopt digest:sha256 -sigfile signed
openssl x509 -in cert.pem -noout -text
""", 1_000_000, noise=(r"[.+*]{2,}",)),
    Program("openssl TLS handshake", ("openssl",), _openssl_tls, 5_000_000, True, unstable=("server", "client_errors")),

    Program("sqlite3", ("sqlite3",), "sqlite3 data.db < script.sql; sqlite3 data.db 'pragma integrity_check' .dump | md5sum",
            50_000_000, True),
    Program("bc, 600 digits of pi", ("bc",), "(echo digits = 600; cat pi.bc) | bc -q", 20_000_000, True),
    Program("bc, 10,000 digits of pi", ("bc",), "(echo digits = 10000; cat pi.bc) | bc -q", 1_000_000_000),
    Program("jq", ("jq",), "jq -f filter.jq records.json",
            20_000_000, True),
    Program("mawk", ("mawk",), "mawk -f words.awk text", 10_000_000, True),
    Program("gawk", ("gawk",), "gawk -f words.awk text; "
            "LC_ALL=C.UTF-8 gawk 'BEGIN { printf \"%.30g %s\\n\", 1/3, toupper(\"ä\") }'",
            10_000_000),
    Program("perl", ("perl",), "perl script.pl text", 50_000_000, True),
    Program("perl, fork and signals", ("perl",), "perl processes.pl", 500_000, True),
    Program("sort, uniq, sed, grep", ("sort", "sed", "grep", "tr"),
            "tr ' ' '\\n' < text | sort --parallel=2 | uniq -c | sort -rn | sed 's/e/E/g' | "
            "grep -E '[0-9]+ .*(Ea|in)' | sort", 5_000_000, True),
    Program("tar, find, diff", ("tar", "find", "diff"), "mkdir -p a/b && cp text data a/b && "
            "tar --mtime=@0 --owner=0 --group=0 -cf a.tar a && "
            "mkdir c && tar -xf a.tar -C c && diff -r a c/a && find a c -type f -size +1k | LC_ALL=C sort", 500_000),
    Program("make", ("make",), "make -s -f rules.mk all", 500_000),
    Program("dash", ("dash",), "dash loop.sh", 2_000_000, True),
    Program("bash", ("bash",), "bash loop.sh", 4_000_000, True),

    Program("gcc -O2", ("x86_64-linux-gnu-gcc-12", "cc1", "x86_64-linux-gnu-as"),
            "gcc-12 -O2 -c program.c && objdump -d program.o | md5sum",
            50_000_000, True),
    Program("gcc and ld", ("x86_64-linux-gnu-gcc-12", "cc1", "x86_64-linux-gnu-as", "collect2", "x86_64-linux-gnu-ld.bfd"),
            "gcc-12 -O1 program.c -o program && ./program", 50_000_000),
    Program("g++", ("cc1plus",), "g++-12 -O0 -c exceptions.cpp && g++-12 exceptions.o -o program && ./program",
            1_000_000_000),
    Program("C++ exceptions", ("program_cpp",), "./program_cpp", 5_000_000, True),
    Program("cmake", ("cmake",), "cmake --version; cmake -P script.cmake", 50_000_000, True),
    Program("git", ("git",), _git, 20_000_000, True, noise=(r"\b(garbage|packs|in-pack|count): \d+",),
            unstable=("repository/.git/index", "repository/.git/*/*.rev", "repository/.git/gc.pid",
                      "repository/.git/logs/*")),
    Program("git, default threads", ("git",), _git.replace("git config pack.threads 1", ":"), 20_000_000,
            unstable=("repository/.git/*",)),
    Program("python3", ("python3.11",), "/usr/bin/python3 script.py", 100_000_000),
    Program("node", ("node",), "node script.js", 1_000_000),
]

for number, modules in enumerate([
        "test_binascii test_string test_textwrap test_struct",
        "test_float test_complex test_cmath test_fractions",
        "test_list test_bisect test_opcodes test_grammar test_unpack",
        "test_generators test_with test_contextlib test_raise test_asyncgen",
        "test_hmac test_copy test_csv test_configparser",
        "test_thread test_sched test_threadedtempfile",
        "test_fork1 test_wait4 test_threadsignals test_pty",
        "test_select test_memoryview test_mmap",
        "test_ctypes test_array"], 1):
    # -m test prints times; the unittest output of one run differs from the next in nothing else.
    table.append(Program(f"python3 -m test, group {number}", ("python3.11",),
                         f"/usr/bin/python3 -m test -u none {modules} < /dev/null 2>&1", 100_000_000,
                         noise=(r"\d+:\d\d:\d\d.*load avg: [\d.]+ ", r" -- test_\w+ passed in .*",
                                r"(?m)^test_\w+ passed in.*\n", r"(?m)^.*Total duration.*$", _seconds,
                                r"(?m)^.*pid \d+.*$", r"0x[0-9a-f]+", r"test_python_\w+")))
