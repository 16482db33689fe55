/* Offsets into probes::Thread for assembly; thread_state.h asserts them. */
#pragma once

#define THREAD_PROGRESS 0
#define THREAD_GUARD 8
#define THREAD_VFORK_DEPTH 16
#define THREAD_SEEN 24
