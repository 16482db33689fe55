// A pool of threads that serve the connections handed to it.
#ifndef WAREHOUSE_WORKERS_H
#define WAREHOUSE_WORKERS_H

// Starts `count` threads; -1 when they cannot be had.
int workers_start(int count);

// Hands a connected socket over; waits while the queue is full.
void workers_serve(int socket);

// Lets the threads finish what they are doing, and ends them.
void workers_stop(void);

#endif
