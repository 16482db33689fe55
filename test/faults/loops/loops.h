// Requests that never come back, one function each; the names are what the scenario expects to be
// blamed. All return 0, or -1 for an error, and would go on for ever.
#pragma once

int skip_blanks(const char* text);   // its loop does not advance
int walk_list(int wanted);           // a list that has become a ring
int fill_table(unsigned char last);  // the counter wraps before the condition fails
int scan_ring(int wanted);           // the loop; called by lookup
int lookup(int wanted);              // innocent
int resolve_names(int wanted);       // the loop; all its time goes by in a callee that returns
int find_in_tree(int wanted);        // libc's tfind walks a ring; blamed is its caller
int collect_nodes(int value);        // takes memory without end

// Comes back after all, when it is told to.
int skip_until_told(const volatile int* told);

// Works for about `milliseconds`, and answers.
int compute(int milliseconds);
