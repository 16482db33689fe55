# Ruby: SystemStackError comes from a SIGSEGV on the guard page, seen on an alternate stack.
def down(n) = down(n + 1)
caught = 0
3.times { begin; down(0); rescue SystemStackError; caught += 1; end }
threads = 8.times.map { Thread.new { begin; down(0); rescue SystemStackError; Thread.current[:caught] = true; end } }
in_threads = threads.count { |t| t.join; t[:caught] }
trap('USR1') { caught += 10 }
Process.kill('USR1', $$)
sleep 0.01 until caught > 10
GC.stress = false
strings = 100_000.times.map { |i| "string #{i}" }
puts "#{caught} #{in_threads} #{strings.sum(&:size)} #{`echo child`}"
exit 4
