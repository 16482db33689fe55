// Mono, as any .NET runtime: a NullReferenceException is a SIGSEGV in generated code.
using System;
using System.Threading;

class Neighbours {
  class Node { public int value; public Node next; }
  static int Read(Node node) { return node.next.value; }

  static int NullReferences(int rounds) {
    int caught = 0;
    for (int i = 0; i < rounds; ++i) {
      try { caught += Read(new Node()); } catch (NullReferenceException) { ++caught; }
    }
    return caught;
  }

  static int Main(string[] arguments) {
    Console.WriteLine("null references " + NullReferences(5000));
    int zero = arguments.Length;
    try { Console.WriteLine(1 / zero); } catch (DivideByZeroException) { Console.WriteLine("division"); }
    int total = 0;
    var threads = new Thread[16];
    for (int i = 0; i < threads.Length; ++i) {
      threads[i] = new Thread(() => Interlocked.Add(ref total, NullReferences(50)));
      threads[i].Start();
    }
    foreach (var thread in threads) { thread.Join(); }
    for (int i = 0; i < 200; ++i) { var garbage = new byte[100000]; garbage[i] = 1; }
    GC.Collect();
    Console.WriteLine("threads " + total);
    return 7;
  }
}
