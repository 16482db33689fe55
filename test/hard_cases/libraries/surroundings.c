/* What the dynamic linker does only when it is first needed. */
__thread int counter = 40;

int next_count(void) {
  return ++counter;
}

/* Called through the procedure linkage table: all eight vector arguments must survive the binding.
 */
double weigh(double a, double b, double c, double d, double e, double f, double g, double h) {
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
}

double call_through_table(double x) {
  return weigh(x, x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7);
}

static int plain(void) {
  return 7;
}

static void* choose(void) {
  return (void*)plain;
}

int chosen(void) __attribute__((ifunc("choose")));

int call_chosen(void) {
  return chosen();
}
