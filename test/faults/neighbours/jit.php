<?php
// PHP: recursion, its own memory limit, signals are left to it.
function down($n) { return $n == 0 ? 0 : 1 + down($n - 1); }
function fib($n) { return $n < 2 ? $n : fib($n - 1) + fib($n - 2); }
$text = str_repeat('abc,', 20000);
echo down(20000), ' ', fib(22), ' ', preg_match_all('/(a|b|c)+/', $text), ' ', count(explode(',', $text)), "\n";
try { intdiv(1, 0); } catch (DivisionByZeroError $e) { echo $e->getMessage(), "\n"; }
try { null_function(); } catch (Error $e) { echo get_class($e), "\n"; }
exit(6);
