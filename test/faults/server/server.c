/* Serves the requests given as arguments, NAME or NAME=TEXT, one after the other, and says of each
   what became of it. Options before them:

     --thread    on a second thread
     --handler   SIGABRT has a handler that jumps out
     --returns   SIGABRT has a handler that returns
     --resigns   SIGABRT has a handler that ends the process by it, as Apache's does
     --ignore    SIGABRT is ignored
     --block     SIGABRT is blocked
     --sandbox=NUMBER  that system call kills from now on
     --pause     says "ready" and waits to be killed, after the requests */
#include "service.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int served;

static sigjmp_buf next_request;

static void jump_out(int signal) {
  (void)signal;
  siglongjmp(next_request, 1);
}

static void say_so(int signal) {
  static const char text[] = "handler\n";
  (void)signal;
  if (write(STDOUT_FILENO, text, sizeof text - 1) < 0) {
    _exit(4);
  }
}

static void end_by_it(int number) {
  say_so(number);
  signal(number, SIG_DFL);
  kill(getpid(), number);
}

static int serve(const char* request) {
  const char* text = strchr(request, '=');
  const size_t length = text != NULL ? (size_t)(text - request) : strlen(request);
  for (size_t i = 0; services[i].name != NULL; ++i) {
    if (strlen(services[i].name) == length && memcmp(services[i].name, request, length) == 0) {
      return services[i].serve(text != NULL ? text + 1 : "");
    }
  }
  fprintf(stderr, "no such request: %s\n", request);
  exit(2);
}

static void forbid(unsigned number) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof code / sizeof code[0], code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("seccomp");
    exit(2);
  }
}

static void* serve_all(void* argument) {
  for (char** volatile request = argument; *request != NULL; ++request) {
    if (sigsetjmp(next_request, 1) != 0) {
      printf("%s: jumped out of (served %d)\n", *request, served);
      continue;
    }
    errno = 0;
    const int result = serve(*request);
    printf("%s: %s, errno %d (served %d)\n", *request, result > 0 ? "done" : "error", errno,
           served);
  }
  return NULL;
}

int main(int argc, char** argv) {
  (void)argc;
  int on_thread = 0;
  int pauses = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (++argv; *argv != NULL && strncmp(*argv, "--", 2) == 0; ++argv) {
    on_thread |= strcmp(*argv, "--thread") == 0;
    pauses |= strcmp(*argv, "--pause") == 0;
    if (strcmp(*argv, "--handler") == 0) {
      signal(SIGABRT, jump_out);
    } else if (strcmp(*argv, "--returns") == 0) {
      signal(SIGABRT, say_so);
    } else if (strcmp(*argv, "--resigns") == 0) {
      signal(SIGABRT, end_by_it);
    } else if (strcmp(*argv, "--ignore") == 0) {
      signal(SIGABRT, SIG_IGN);
    } else if (strcmp(*argv, "--block") == 0) {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGABRT);
      sigprocmask(SIG_BLOCK, &set, NULL);
    } else if (strncmp(*argv, "--sandbox=", 10) == 0) {
      forbid((unsigned)atoi(*argv + 10));
    }
  }
  if (on_thread) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve_all, argv) != 0 || pthread_join(thread, NULL) != 0) {
      return 1;
    }
  } else {
    serve_all(argv);
  }
  if (pauses) {
    puts("ready");
    for (;;) {
      pause();
    }
  }
  return 0;
}
