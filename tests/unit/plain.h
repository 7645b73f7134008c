/* Test support: PLAIN marks the loops of a reference that a test computes by itself. Under the sanitizers they alone stay as they are: they walk
 * arrays of the test, not of the library, and would be most of the time. (inline: without optimization for speed a compiler does not think of it.) */
#ifndef ESPL_TESTS_PLAIN_H
#define ESPL_TESTS_PLAIN_H
#define PLAIN inline __attribute__((no_sanitize("address", "undefined")))
#endif
