// A program with nothing in it but an exit status; linked in the ways that doctor must tell apart.
int main(void) {
  return 42;
}
