// Stands in for libselfheal.so where a test wants to see how a program is started, and nothing
// else.
const char selfheal_preload_probe[] = "loaded";
