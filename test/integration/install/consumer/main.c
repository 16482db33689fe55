#include <selfheal/selfheal.h>
#include <stdio.h>

int main(void) {
  struct selfheal_statistics statistics = {.size = sizeof statistics};
  int result = selfheal_get_statistics(&statistics);
  printf("%s %d %d %d\n", selfheal_version(), selfheal_active(), result, (int)statistics.heals);
  return 0;
}
