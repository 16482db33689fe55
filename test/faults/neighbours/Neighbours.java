//   Neighbours [short | wait]
//
// What a Java virtual machine does with signals: implicit null checks (SIGSEGV), stack banging
// (SIGSEGV on guard pages), safepoint polls, deoptimisation, thread dumps (SIGQUIT).
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

public class Neighbours {
    static class Node { int value; Node next; }

    static int sum(Node node) { return node.value + node.next.value; }

    static int nullPointers(int rounds) {
        int caught = 0;
        Node lonely = new Node();
        for (int i = 0; i < rounds; ++i) {
            try {
                caught += sum(lonely);
            } catch (NullPointerException e) {
                ++caught;
            }
        }
        return caught;
    }

    static int depth;

    static void recurse() { ++depth; recurse(); }

    static boolean overflow() {
        depth = 0;
        try {
            recurse();
        } catch (StackOverflowError e) {
            return depth > 100;
        }
        return false;
    }

    static long work(int n) {
        long h = 1125899906842597L;
        for (int i = 0; i < n; ++i) { h = 31 * h + (i ^ (h >>> 7)); }
        return h;
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("null pointers " + nullPointers(20000));
        System.out.println("overflow " + overflow() + overflow());
        final AtomicLong total = new AtomicLong();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 40; ++i) {
            final boolean deep = i % 8 == 0;
            Thread thread = new Thread(() -> {
                total.addAndGet(nullPointers(500));
                if (deep) { total.addAndGet(overflowHere() ? 1 : 0); }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) { thread.join(); }
        System.out.println("threads " + total.get());
        try {
            System.out.println(1 / (int) (total.get() - total.get()));
        } catch (ArithmeticException e) {
            System.out.println(e.getMessage());  // SIGFPE
        }
        byte[][] garbage = new byte[64][];
        for (int i = 0; i < 2000; ++i) { garbage[i % 64] = new byte[64 * 1024]; }
        System.gc();
        System.out.println("work " + work(arguments.length == 0 ? 20_000_000 : 200_000));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
        if (arguments.length > 0 && arguments[0].equals("wait")) {
            System.out.println("ready");
            System.in.read();
        }
        System.exit(3);
    }

    static int level(int n) { return n == 0 ? 0 : 1 + level(n + 1); }

    static boolean overflowHere() {
        try {
            return level(1) < 0;
        } catch (StackOverflowError e) {
            return true;
        }
    }
}
