use strict; use warnings;
# Regular expressions, hashes, sorting, closures, formats, eval and die.
my %count; my $letters = 0;
while (<>) { for my $w (/\b([a-z]+)\b/g) { $count{$w}++; $letters += length $w; } }
my @top = (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 20];
printf "%-12s %6d %8.3f%%\n", $_, $count{$_}, 100 * $count{$_} / keys %count for @top;
my @adders = map { my $n = $_; sub { $_[0] + $n } } 1 .. 5;
print join(",", map { $_->(10) } @adders), " $letters\n";
eval { die { code => 42 } }; print "caught $@->{code}\n";
my $text = join " ", sort keys %count; $text =~ s/(\w)(\w*)/\U$1\E$2/g; print substr($text, 0, 60), "\n";
my @primes = grep { my $n = $_; !grep { $n % $_ == 0 } 2 .. sqrt $n } 2 .. 2000; print scalar(@primes), "\n";
print pack("NvA4", 1, 2, "abc") eq "\0\0\0\1\2\0abc " ? "packed\n" : "not packed\n";
