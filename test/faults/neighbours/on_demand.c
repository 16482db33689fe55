// userfaultfd(2): pages of an area are brought by another thread when they are first touched.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { page = 4096, pages = 64 };

static int monitor;

static void* bring_pages(void* nothing) {
  static char fresh[page] __attribute__((aligned(page)));
  for (int i = 0; i < pages; ++i) {
    struct uffd_msg message;
    if (read(monitor, &message, sizeof message) != sizeof message ||
        message.event != UFFD_EVENT_PAGEFAULT) {
      return nothing;
    }
    memset(fresh, 'a' + i % 26, page);
    struct uffdio_copy copy = {.dst = message.arg.pagefault.address & ~(uint64_t)(page - 1),
                               .src = (uintptr_t)fresh,
                               .len = page};
    ioctl(monitor, UFFDIO_COPY, &copy);
  }
  return nothing;
}

int main(void) {
  monitor = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
  if (monitor < 0) {
    perror("userfaultfd");
    return 77;
  }
  struct uffdio_api api = {.api = UFFD_API};
  ioctl(monitor, UFFDIO_API, &api);
  char* area = mmap(NULL, page * pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct uffdio_register range = {.range = {.start = (uintptr_t)area, .len = page * pages},
                                  .mode = UFFDIO_REGISTER_MODE_MISSING};
  ioctl(monitor, UFFDIO_REGISTER, &range);
  pthread_t thread;
  pthread_create(&thread, NULL, bring_pages, NULL);
  unsigned sum = 0;
  for (int i = 0; i < pages; ++i) {
    sum = sum * 31 + (unsigned char)area[i * page + i];
  }
  pthread_join(thread, NULL);
  printf("sum %u\n", sum);
  return 4;
}
