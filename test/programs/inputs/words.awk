# Counts words, sorts them by hand, and does some arithmetic.
{ for (i = 1; i <= NF; ++i) { ++count[$i]; length_sum += length($i) } }
END {
  for (w in count) order[++n] = sprintf("%06d %s", count[w], w)
  for (i = 2; i <= n && i <= 300; ++i) {
    x = order[i]
    for (j = i - 1; j > 0 && order[j] < x; --j) order[j + 1] = order[j]
    order[j + 1] = x
  }
  print n, length_sum, sin(1), exp(2), substr("substring", 4, 3)
  total = 0
  for (w in count) total += count[w] * 0.1
  printf "%.6f\n", total
}
