use strict; use warnings; $| = 1;
# Children, pipes, signals, an exec: the ways out of an engine.
my @got; $SIG{USR1} = sub { push @got, "USR1" }; $SIG{ALRM} = sub { die "alarm\n" };
kill USR1 => $$; print "@got\n";
for my $n (1 .. 3) {
  my $pid = fork // die; if (!$pid) { exit $n * 2 } waitpid $pid, 0; print $? >> 8, "\n";
}
pipe my $r, my $w; if (!fork) { close $r; print $w "from a child\n"; exit 0 } close $w; print <$r>; wait;
eval { alarm 1; 1 while 1 }; print $@; print `echo by a shell`;
my $pid = fork; if (!$pid) { sleep 10; exit 1 } kill TERM => $pid; waitpid $pid, 0; print $? & 127, "\n";
exec "echo", "replaced";
