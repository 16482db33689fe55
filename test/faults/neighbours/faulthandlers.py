# Python's faulthandler: its signal handlers, its alternate stack, its watchdog thread.
import faulthandler, os, signal, sys, threading

faulthandler.enable()
faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=False)
os.kill(os.getpid(), signal.SIGUSR1)
faulthandler.dump_traceback_later(3600)
faulthandler.cancel_dump_traceback_later()


def deep(n):
    return 1 + deep(n + 1)


for _ in range(3):
    try:
        deep(0)
    except RecursionError as e:
        print(type(e).__name__)
results = []


def in_thread():
    try:
        deep(0)
    except RecursionError:
        results.append("thread")


threads = [threading.Thread(target=in_thread) for _ in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(len(results), faulthandler.is_enabled())
sys.stdout.flush()
what = sys.argv[1]
if what == "null":
    faulthandler._read_null()
elif what == "segv":
    faulthandler._sigsegv()
elif what == "abrt":
    faulthandler._sigabrt()
elif what == "fpe":
    faulthandler._sigfpe()
elif what == "stack":
    faulthandler._stack_overflow()
sys.exit(5)
