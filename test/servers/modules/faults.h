// Every way in which a request can bring a server down, in one place for all servers.
//
// The modules beside this file put each function of faults.c behind a request of their server.
// Asked to be good, a function does its small job, books it in the process's ledger and returns 0;
// asked to be bad, it books the job first and then goes wrong, so that a heal has something to take
// back.
#ifndef FAULTS_H
#define FAULTS_H

#include <stddef.h>

// How a function answers its client before it is done.
struct faults_client {
  void (*say)(void* context, const char* text);
  void* context;
};

enum faults_outcome { faults_done = 0, faults_unknown = 1, faults_failed = 2 };

// `request` is NAME/good or NAME/bad; the names are those of the table at the end of faults.c.
enum faults_outcome faults_serve(const char* request, const struct faults_client* client);

// What the good requests of this process have booked, as one line of text; returns `buffer`.
const char* faults_ledger(char* buffer, size_t size);

#endif
