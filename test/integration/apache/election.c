#include "election.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <apr_thread_mutex.h>
#include <stdlib.h>
#include <string.h>

enum { boxes = 4, minutes_capacity = 256 };

struct address {
  const char* street;
  const char* city;
};

struct member {
  const char* name;
  const char* team;
  long age;
  const struct address* address;
  long votes;
};

struct ballot {
  const struct member* member;
  long box;
  struct ballot* next;
};

struct box {
  long count;
  const struct ballot* top;
};

static const struct address lane = {"Mill Lane 3", "Kempten"};
static const struct address quay = {"Old Quay 12", "Husum"};

static struct member members[] = {
    {"ada", "red", 36, &lane, 0},
    {"bruno", "red", 52, &quay, 0},
    {"clara", "blue", 29, &quay, 0},
    {"ghost", "blue", 107, NULL, 0},
};
enum { member_count = sizeof members / sizeof members[0] };

static const char* const teams[] = {"red", "blue", "green"};

static apr_thread_mutex_t* lock;
static struct box* ballot_boxes;
static struct ballot* ballots;
static long votes_cast;
static char minutes[minutes_capacity];
static apr_size_t minutes_used;

apr_status_t election_open(apr_pool_t* pool) {
  ballot_boxes = apr_pcalloc(pool, boxes * sizeof *ballot_boxes);
  return apr_thread_mutex_create(&lock, APR_THREAD_MUTEX_DEFAULT, pool);
}

static struct member* find(const char* name) {
  for (int i = 0; i < member_count; ++i) {
    if (strcmp(members[i].name, name) == 0) {
      return &members[i];
    }
  }
  return NULL;
}

const char* election_city(const char* name) {
  const struct member* member = find(name);
  if (!member) {
    return NULL;
  }
  return member->address->city;
}

int election_average_age(const char* team, long* age) {
  long sum = 0;
  long count = 0;
  int known = 0;
  for (unsigned i = 0; i < sizeof teams / sizeof teams[0]; ++i) {
    known |= strcmp(teams[i], team) == 0;
  }
  if (!known) {
    return HTTP_NOT_FOUND;
  }
  for (int i = 0; i < member_count; ++i) {
    if (strcmp(members[i].team, team) == 0) {
      sum += members[i].age;
      ++count;
    }
  }
  *age = sum / count;
  return OK;
}

int election_vote(const char* name, long box) {
  struct member* member = find(name);
  if (!member) {
    return HTTP_NOT_FOUND;
  }
  struct ballot* ballot = malloc(sizeof *ballot);
  if (!ballot) {
    return HTTP_INSUFFICIENT_STORAGE;
  }
  apr_thread_mutex_lock(lock);
  *ballot = (struct ballot){member, box, ballots};
  ballots = ballot;
  ++votes_cast;
  ++member->votes;
  apr_size_t room = sizeof minutes - minutes_used;
  apr_snprintf(minutes + minutes_used, room, "%s,", name);
  minutes_used += strlen(minutes + minutes_used);
  ballot_boxes[box].top = ballot;
  ++ballot_boxes[box].count;
  apr_thread_mutex_unlock(lock);
  return OK;
}

const char* election_browser(request_rec* r) {
  const char* agent = apr_table_get(r->headers_in, "User-Agent");
  apr_size_t length = strcspn(agent, "/ ");
  return length ? apr_pstrmemdup(r->pool, agent, length) : NULL;
}

const char* election_state(apr_pool_t* pool) {
  apr_thread_mutex_lock(lock);
  const char* text = apr_psprintf(pool, "votes cast: %ld\nminutes: %s\n", votes_cast, minutes);
  for (const struct ballot* b = ballots; b; b = b->next) {
    text = apr_psprintf(pool, "%sballot: %s in %ld\n", text, b->member->name, b->box);
  }
  for (int i = 0; i < member_count; ++i) {
    text = apr_psprintf(pool, "%smember: %s %ld\n", text, members[i].name, members[i].votes);
  }
  for (int i = 0; i < boxes; ++i) {
    const struct ballot* top = ballot_boxes[i].top;
    text = apr_psprintf(pool, "%sbox %d: %ld, last %s\n", text, i, ballot_boxes[i].count,
                        top ? top->member->name : "none");
  }
  apr_thread_mutex_unlock(lock);
  return text;
}
