/* gcc makes a function pointer out of a nested function by writing a trampoline on the stack. */
static int twice(int (*f)(int)) {
  return f(1) + f(2);
}

int with_trampoline(int factor) {
  int multiply(int x) {
    return x * factor;
  }
  return twice(multiply);
}
