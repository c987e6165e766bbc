/* What the C programs of these tests check with: the first thing that is not so ends them. */
#ifndef BMCLINK_TESTS_CHECK_H
#define BMCLINK_TESTS_CHECK_H

#include <bmclink.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline void fail(const char *file, int line, const char *what, int64_t got)
{
    printf("%s:%d: %s gave %lld: %s\n", file, line, what, (long long)got, bmclink_last_error());
    exit(EXIT_FAILURE);
}

#define IS(want, call)                                                                            \
    do {                                                                                          \
        int64_t got_ = (call);                                                                    \
        if (got_ != (want))                                                                       \
            fail(__FILE__, __LINE__, #call, got_);                                                \
    } while (0)
#define OK(call) IS(BMCLINK_OK, call)
#define MISUSE(call) IS(BMCLINK_ERR_MISUSE, call)
#define TRUE(question) IS(1, (question) ? 1 : 0)

/* Milliseconds in which everything here is done, however busy the machine. */
#define PATIENCE 30000

static inline void sleep_ms(int64_t ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

#endif
