/* Jobs that run on worker threads and leave their result in the job. C with threads, locks and
 * call-backs. */
#include "serve.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { worker_count = 2, shelf_count = 8 };

struct job {
  int (*run)(struct job* job);
  char* text;
  char* answer;
  int status;
  bool done;
};

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_changed = PTHREAD_COND_INITIALIZER;
static struct job* queue;

static pthread_mutex_t shelves_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t names_lock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t slots;
static long shelves[shelf_count];
static char names[shelf_count][16];
static int name_count;
static long jobs_done;

/* Bug: an empty name. The job's result is stored, not looked at. */
static int job_put(struct job* job) {
  char* rest = job->text;
  const char* name = next_word(&rest);
  long amount = strtol(next_word(&rest), NULL, 10);
  if (amount < 0) {
    return -1;
  }
  pthread_mutex_lock(&shelves_lock);
  shelves[0] += amount;
  const char* colon = strchr(name, ':');
  if (amount > 100) {
    shelves[1] += *colon;
  }
  pthread_mutex_unlock(&shelves_lock);
  return asprintf(&job->answer, "%ld", shelves[0]) < 0 ? -1 : 0;
}

/* Bug: a share among nobody. */
static STEP int divide_shelf(int shelf, long among, long* part) {
  if (shelf < 0 || shelf >= shelf_count) {
    return -1;
  }
  pthread_mutex_lock(&shelves_lock);
  shelves[shelf] += 1;
  *part = shelves[shelf] / among;
  shelves[shelf] -= 1;
  pthread_mutex_unlock(&shelves_lock);
  return 0;
}

static int job_divide(struct job* job) {
  char* rest = job->text;
  int shelf = atoi(next_word(&rest));
  long part;
  if (divide_shelf(shelf, strtol(next_word(&rest), NULL, 10), &part) != 0) {
    return -1;
  }
  return asprintf(&job->answer, "%ld", part) < 0 ? -1 : 0;
}

/* Bug: the place a name asks for. Held: a write lock and a slot. */
static STEP int add_name(const char* name) {
  int result = -1;
  if (sem_trywait(&slots) != 0) {
    return -1;
  }
  pthread_rwlock_wrlock(&names_lock);
  if (strlen(name) < sizeof names[0] && name_count < shelf_count) {
    size_t place = (size_t)name_count++;
    if (*name == '@') {
      place = strtoul(name + 1, NULL, 0);
    }
    strcpy(names[place], name);
    result = 0;
  }
  pthread_rwlock_unlock(&names_lock);
  sem_post(&slots);
  return result;
}

static int job_name(struct job* job) {
  if (add_name(job->text) < 0) {
    return -1;
  }
  return asprintf(&job->answer, "%d", name_count) < 0 ? -1 : 0;
}

/* A thread of its own; NULL is failure. Bug: a letter without a value. */
static void* counting_thread(void* argument) {
  const char* text = argument;
  long* sum = calloc(1, sizeof *sum);
  for (; sum != NULL && *text != '\0'; ++text) {
    if (*text == '-') {
      free(sum);
      return NULL;
    }
    if (*text == '!') {
      __builtin_trap();
    }
    *sum += *text;
  }
  return sum;
}

static int job_count(struct job* job) {
  pthread_t thread;
  void* sum;
  if (pthread_create(&thread, NULL, counting_thread, job->text) != 0) {
    return -1;
  }
  pthread_join(thread, &sum);
  if (sum == NULL) {
    return -1;
  }
  int written = asprintf(&job->answer, "%ld", *(long*)sum);
  free(sum);
  return written < 0 ? -1 : 0;
}

/* Bug: what is compared with nothing. There is no failure of a comparison. */
static int by_length(const void* left, const void* right) {
  const char* const* a = left;
  const char* const* b = right;
  return (int)strlen(*a) - (int)strlen(*b);
}

/* The shortest of the words, or NULL. */
static STEP char* shortest(char* text) {
  char* words[5] = {NULL};
  int count = 0;
  while (*text != '\0' && count < 4) {
    words[count++] = next_word(&text);
  }
  if (count < 2) {
    return NULL;
  }
  if (*words[0] == '*') {
    words[count - 1] = NULL;
  }
  qsort(words, (size_t)count, sizeof *words, by_length);
  return strdup(words[0]);
}

static int job_sort(struct job* job) {
  job->answer = shortest(job->text);
  return job->answer == NULL ? -1 : 0;
}

static const struct {
  const char* verb;
  int (*run)(struct job* job);
} verbs[] = {{"PUT", job_put},
             {"DIVIDE", job_divide},
             {"NAME", job_name},
             {"COUNT", job_count},
             {"SORT", job_sort}};

/* Bug: a job nobody can do is looked up as if somebody could. */
static STEP struct job* new_job(const char* verb, const char* text) {
  struct job* job = calloc(1, sizeof *job);
  if (job == NULL) {
    return NULL;
  }
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; ++i) {
    if (strcmp(verbs[i].verb, verb) == 0) {
      job->run = verbs[i].run;
    }
  }
  job->text = strdup(text);
  if (job->run == NULL && strlen(verb) != 5) {
    free(job->text);
    free(job);
    return NULL;
  }
  if (job->run == NULL) {
    job->status = *(volatile int*)job->answer;
  }
  return job;
}

static void* work(void* unused) {
  (void)unused;
  pthread_mutex_lock(&queue_lock);
  for (;;) {
    while (queue == NULL) {
      pthread_cond_wait(&queue_changed, &queue_lock);
    }
    struct job* job = queue;
    queue = NULL;
    pthread_mutex_unlock(&queue_lock);
    job->status = job->run(job);
    pthread_mutex_lock(&queue_lock);
    job->done = true;
    pthread_cond_broadcast(&queue_changed);
  }
  return NULL;
}

static void handle(char* request, struct reply* reply) {
  const char* verb = next_word(&request);
  struct job* job = new_job(verb, request);
  if (job == NULL) {
    answer(reply, "ERR no such job");
    return;
  }
  pthread_mutex_lock(&queue_lock);
  queue = job;
  pthread_cond_broadcast(&queue_changed);
  while (!job->done) {
    pthread_cond_wait(&queue_changed, &queue_lock);
  }
  pthread_mutex_unlock(&queue_lock);
  if (job->status != 0) {
    answer(reply, "ERR job");
  } else {
    ++jobs_done;
    answer(reply, "OK %s", job->answer);
  }
  free(job->text);
  free(job->answer);
  free(job);
}

static void state(struct reply* reply) {
  answer(reply, "jobs=%ld names=%d", jobs_done, name_count);
  for (int i = 0; i < shelf_count; ++i) {
    answer(reply, " %ld,%s", shelves[i], names[i]);
  }
}

static long held(void) {
  int free_slots;
  sem_getvalue(&slots, &free_slots);
  long locked = pthread_mutex_trylock(&shelves_lock) != 0;
  if (!locked) {
    pthread_mutex_unlock(&shelves_lock);
  }
  long named = pthread_rwlock_trywrlock(&names_lock) != 0;
  if (!named) {
    pthread_rwlock_unlock(&names_lock);
  }
  return 2 - free_slots + 100 * locked + 1000 * named;
}

int main(void) {
  sem_init(&slots, 0, 2);
  for (int i = 0; i < worker_count; ++i) {
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    pthread_detach(thread);
  }
  const struct server server = {handle, state, held};
  return serve(&server);
}
