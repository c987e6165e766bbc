/*
 * Waiting for consoles without a thread for each: event queues, descriptors, callbacks; and all
 * that can go wrong with them. Ends with status 0 when everything is as the header says; run under
 * sanitizers.
 */
#define _DEFAULT_SOURCE
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define COUNT 4

/* Simulated BMCs that echo, and a console of each. */
struct setup {
    bmclink_sim *sim;
    bmclink_engine *engine;
    bmclink_credentials *credentials;
    bmclink_console *consoles[COUNT];
};

static void set_up(struct setup *s)
{
    OK(bmclink_sim_start("spec", "echo", COUNT, &s->sim));
    OK(bmclink_engine_new(NULL, &s->engine));
    OK(bmclink_credentials_new("admin", 5, "password", 8, NULL, 0, &s->credentials));
    for (uint32_t i = 0; i < COUNT; i++) {
        bmclink_bmc_options *options;
        bmclink_bmc *bmc;
        char address[BMCLINK_ADDRESS_MAX];
        uint16_t port;
        OK(bmclink_sim_address(s->sim, i, address, sizeof address, &port));
        OK(bmclink_bmc_options_new(address, s->credentials, &options));
        OK(bmclink_bmc_options_set_port(options, port));
        OK(bmclink_bmc_open(s->engine, options, &bmc));
        OK(bmclink_console_open(bmc, NULL, &s->consoles[i]));
        OK(bmclink_bmc_free(bmc));
        OK(bmclink_bmc_options_free(options));
    }
}

static void tear_down(struct setup *s)
{
    for (int i = 0; i < COUNT; i++)
        OK(bmclink_console_free(s->consoles[i]));
    OK(bmclink_credentials_free(s->credentials));
    OK(bmclink_engine_free(s->engine));
    OK(bmclink_sim_free(s->sim));
}

static int is_readable(int32_t fd, int timeout_ms)
{
    struct pollfd place = {fd, POLLIN, 0};
    TRUE(fd >= 0);
    return poll(&place, 1, timeout_ms) > 0;
}

/* Waits for the next report, of one source. */
static uint64_t next(bmclink_event_queue *queue, int32_t *events)
{
    uint64_t key = 99;
    TRUE(is_readable(bmclink_event_queue_fd(queue), PATIENCE));
    IS(1, bmclink_event_queue_wait(queue, &key, events, 1, PATIENCE));
    return key;
}

static void misuse(void)
{
    uint64_t key = 7;
    int32_t events = 7;
    struct setup s;
    bmclink_event_queue *queue, *stale;
    bmclink_reader *reader;

    MISUSE(bmclink_event_queue_new(NULL));
    MISUSE(bmclink_event_queue_add_console(NULL, NULL, 1));
    MISUSE(bmclink_event_queue_add_reader(NULL, NULL, 1));
    MISUSE(bmclink_event_queue_remove_console(NULL, NULL));
    MISUSE(bmclink_event_queue_remove_reader(NULL, NULL));
    MISUSE(bmclink_event_queue_wait(NULL, &key, &events, 1, 0));
    MISUSE(bmclink_event_queue_fd(NULL));
    OK(bmclink_event_queue_free(NULL));
    MISUSE(bmclink_reader_fd(NULL));
    MISUSE(bmclink_console_fd(NULL));
    MISUSE(bmclink_console_begin_connect(NULL));
    MISUSE(bmclink_console_set_callback(NULL, 0, NULL, NULL));
    MISUSE(bmclink_engine_options_set_dispatchers_max(NULL, 1));

    bmclink_engine_options *options;
    bmclink_engine *engine = NULL;
    OK(bmclink_engine_options_new(&options));
    OK(bmclink_engine_options_set_dispatchers_max(options, 0));
    MISUSE(bmclink_engine_new(options, &engine));
    OK(bmclink_engine_options_set_dispatchers_max(options, 1025));
    MISUSE(bmclink_engine_new(options, &engine));
    TRUE(engine == NULL);
    OK(bmclink_engine_options_free(options));

    set_up(&s);
    OK(bmclink_event_queue_new(&queue));
    OK(bmclink_reader_open(s.consoles[0], 1, &reader));
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_event_queue_wait(queue, &key, &events, 1, 0));
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_event_queue_wait(queue, &key, &events, 1, 20));
    MISUSE(bmclink_event_queue_wait(queue, &key, &events, 0, 0));
    MISUSE(bmclink_event_queue_wait(queue, NULL, &events, 1, 0));
    MISUSE(bmclink_event_queue_wait(queue, &key, NULL, 1, 0));
    MISUSE(bmclink_event_queue_wait(queue, &key, &events, (size_t)-1, 0));
    MISUSE(bmclink_event_queue_wait(queue, (uint64_t *)((char *)&key + 1), &events, 1, 0));
    TRUE(key == 7 && events == 7);
    OK(bmclink_event_queue_add_console(queue, s.consoles[0], 1));
    MISUSE(bmclink_event_queue_add_console(queue, s.consoles[0], 2));
    OK(bmclink_event_queue_add_reader(queue, reader, 3));
    MISUSE(bmclink_event_queue_add_reader(queue, reader, 4));
    MISUSE(bmclink_event_queue_add_reader(queue, (bmclink_reader *)(void *)s.consoles[0], 4));
    MISUSE(bmclink_event_queue_remove_console(queue, s.consoles[1]));
    OK(bmclink_event_queue_remove_reader(queue, reader));
    MISUSE(bmclink_event_queue_remove_reader(queue, reader));
    OK(bmclink_event_queue_remove_console(queue, s.consoles[0]));
    OK(bmclink_event_queue_add_reader(queue, reader, 5));
    OK(bmclink_reader_free(reader));
    MISUSE(bmclink_reader_fd(reader));
    MISUSE(bmclink_event_queue_remove_reader(queue, reader));
    stale = queue;
    OK(bmclink_event_queue_free(queue));
    MISUSE(bmclink_event_queue_free(stale));
    MISUSE(bmclink_event_queue_wait(stale, &key, &events, 1, -1));
    MISUSE(bmclink_event_queue_add_console(stale, s.consoles[0], 1));
    MISUSE(bmclink_event_queue_fd(stale));
    tear_down(&s);
}

/* Connects them all at once and reads from those that say something. */
static void many_consoles(void)
{
    struct setup s;
    bmclink_event_queue *queue;
    uint64_t keys[8];
    int32_t events[8];
    int connected = 0;
    char text[16];
    set_up(&s);
    OK(bmclink_event_queue_new(&queue));
    for (int i = 0; i < COUNT; i++) {
        OK(bmclink_event_queue_add_console(queue, s.consoles[i], (uint64_t)i));
        OK(bmclink_console_begin_connect(s.consoles[i]));
    }
    while (connected < COUNT) {
        int64_t count = bmclink_event_queue_wait(queue, keys, events, 8, PATIENCE);
        TRUE(count >= 1 && count <= COUNT);
        for (int64_t i = 0; i < count; i++) {
            IS(BMCLINK_READY_STATE, events[i]);
            connected = 0;
            for (int j = 0; j < COUNT; j++)
                connected += bmclink_console_state(s.consoles[j]) == BMCLINK_STATE_CONNECTED;
        }
    }
    while (bmclink_event_queue_wait(queue, keys, events, 8, 0) > 0)
        IS(BMCLINK_READY_STATE, events[0]);

    /* One says something, and is reported until all of it is read. */
    IS(6, bmclink_console_write(s.consoles[2], "abcdef", 6, PATIENCE));
    size_t len = 0;
    while (len < 6) {
        IS(2, (int64_t)next(queue, events));
        IS(BMCLINK_READY_READABLE, events[0]);
        int64_t got = bmclink_console_read(s.consoles[2], text + len, 2, 0);
        TRUE(got == 1 || got == 2);
        len += (size_t)got;
    }
    TRUE(memcmp(text, "abcdef", 6) == 0);
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_event_queue_wait(queue, keys, events, 8, 0));

    /* Descriptors for one. */
    bmclink_reader *past, *live;
    OK(bmclink_reader_open(s.consoles[2], 1, &past));
    OK(bmclink_reader_open(s.consoles[2], 0, &live));
    TRUE(is_readable(bmclink_reader_fd(past), 0) && !is_readable(bmclink_reader_fd(live), 0));
    TRUE(!is_readable(bmclink_console_fd(s.consoles[2]), 0));
    IS(1, bmclink_console_write(s.consoles[2], "g", 1, PATIENCE));
    TRUE(is_readable(bmclink_reader_fd(live), PATIENCE));
    TRUE(is_readable(bmclink_console_fd(s.consoles[2]), PATIENCE));
    IS(1, bmclink_reader_read(live, text, sizeof text, 0));
    IS(7, bmclink_reader_read(past, text, sizeof text, 0));
    TRUE(!is_readable(bmclink_reader_fd(past), 0) && !is_readable(bmclink_reader_fd(live), 0));
    OK(bmclink_reader_free(past));
    OK(bmclink_reader_free(live));

    /* What is freed or closed: the one leaves, the other says so. */
    OK(bmclink_console_free(s.consoles[2]));
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_event_queue_wait(queue, keys, events, 8, 0));
    s.consoles[2] = NULL;
    OK(bmclink_console_close(s.consoles[1], PATIENCE));
    IS(1, (int64_t)next(queue, events));
    IS(BMCLINK_READY_READABLE | BMCLINK_READY_STATE, events[0]);
    IS(BMCLINK_ERR_CLOSED, bmclink_console_read(s.consoles[1], text, sizeof text, 0));
    tear_down(&s);
    TRUE(bmclink_event_queue_wait(queue, keys, events, 8, 0) < 0);
    OK(bmclink_event_queue_free(queue));
}

static void *wait_for_ever(void *argument)
{
    uint64_t key;
    int32_t events;
    int64_t result;
    while ((result = bmclink_event_queue_wait(argument, &key, &events, 1, -1)) > 0)
        ;
    /* Who comes when it is freed already finds no queue. */
    TRUE(result == BMCLINK_ERR_CLOSED || result == BMCLINK_ERR_MISUSE);
    return NULL;
}

static void *add_and_remove(void *argument)
{
    void **both = argument;
    while (bmclink_event_queue_add_console(both[0], both[1], 1) == BMCLINK_OK)
        if (bmclink_event_queue_remove_console(both[0], both[1]) != BMCLINK_OK)
            break;
    return NULL;
}

static void a_queue_is_freed_under_waiting_threads(void)
{
    struct setup s;
    set_up(&s);
    OK(bmclink_console_connect(s.consoles[0], PATIENCE));
    for (int round = 0; round < 5; round++) {
        pthread_t threads[4];
        bmclink_event_queue *queue;
        OK(bmclink_event_queue_new(&queue));
        void *both[2] = {queue, s.consoles[0]};
        for (int i = 0; i < 3; i++)
            OK(pthread_create(&threads[i], NULL, wait_for_ever, queue));
        OK(pthread_create(&threads[3], NULL, add_and_remove, both));
        sleep_ms(10);
        IS(1, bmclink_console_write(s.consoles[0], "x", 1, PATIENCE));
        OK(bmclink_event_queue_free(queue));
        for (int i = 0; i < 4; i++)
            OK(pthread_join(threads[i], NULL));
    }
    tear_down(&s);
}

/* What a callback was told, and what it is to do in it. */
struct told {
    pthread_mutex_t lock;
    char text[64];
    size_t len;
    int32_t state;
    int32_t reason;
    uint64_t epoch;
    int calls;
    bmclink_console *free_console;
    bmclink_console *unset;
    bmclink_engine *free_engine;
};

static void take_event(int32_t event, int32_t state, int32_t reason, uint64_t number,
                       const void *bytes, size_t len, void *user)
{
    struct told *told = user;
    pthread_mutex_lock(&told->lock);
    if (event == BMCLINK_EVENT_DATA) {
        TRUE(len > 0 && len <= sizeof told->text - told->len);
        memcpy(told->text + told->len, bytes, len);
        told->len += len;
    } else {
        TRUE(event == BMCLINK_EVENT_CONNECTING || event == BMCLINK_EVENT_CONNECTED ||
             event == BMCLINK_EVENT_DISCONNECTED);
        TRUE(bytes == NULL && len == 0);
        if (reason != 0)
            IS(reason, bmclink_last_error_code());
        told->state = state;
        told->reason = reason;
        told->epoch = number;
    }
    bmclink_console *free_console = told->free_console, *unset = told->unset;
    bmclink_engine *free_engine = told->free_engine;
    told->free_console = told->unset = NULL;
    told->free_engine = NULL;
    pthread_mutex_unlock(&told->lock);

    if (unset != NULL)
        OK(bmclink_console_set_callback(unset, 0, NULL, NULL));
    if (free_console != NULL) {
        OK(bmclink_console_free(free_console));
        MISUSE(bmclink_console_free(free_console));
    }
    OK(bmclink_engine_free(free_engine));
    pthread_mutex_lock(&told->lock);
    told->calls++;
    pthread_mutex_unlock(&told->lock);
}

/* Waits until it was called so often, and holds it still. */
static void lock_after(struct told *told, int calls)
{
    for (int ms = 0; ms < PATIENCE; ms++) {
        pthread_mutex_lock(&told->lock);
        if (told->calls >= calls)
            return;
        pthread_mutex_unlock(&told->lock);
        sleep_ms(1);
    }
    fail(__FILE__, __LINE__, "callbacks", told->calls);
}

static int calls(struct told *told)
{
    pthread_mutex_lock(&told->lock);
    int calls = told->calls;
    pthread_mutex_unlock(&told->lock);
    return calls;
}

static void callbacks(void)
{
    static const struct told nothing = {PTHREAD_MUTEX_INITIALIZER, "", 0, 0, 0, 0, 0, NULL, NULL,
                                        NULL};
    struct told told = nothing, other = nothing;
    struct setup s;
    set_up(&s);
    OK(bmclink_console_set_callback(s.consoles[0], 1, take_event, &told));
    OK(bmclink_console_connect(s.consoles[0], PATIENCE));
    lock_after(&told, 2);
    TRUE(told.state == BMCLINK_STATE_CONNECTED && told.reason == 0 && told.epoch == 1);
    pthread_mutex_unlock(&told.lock);
    IS(3, bmclink_console_write(s.consoles[0], "abc", 3, PATIENCE));
    lock_after(&told, 3);
    while (told.len < 3) {
        pthread_mutex_unlock(&told.lock);
        lock_after(&told, told.calls + 1);
    }
    TRUE(memcmp(told.text, "abc", 3) == 0);
    pthread_mutex_unlock(&told.lock);

    /* Another one in its place; the first one is called no more, so it can go out of scope. */
    OK(bmclink_console_set_callback(s.consoles[0], 1, take_event, &other));
    lock_after(&other, 3);
    while (other.len < 3) {
        pthread_mutex_unlock(&other.lock);
        lock_after(&other, other.calls + 1);
    }
    TRUE(other.epoch == 1 && memcmp(other.text, "abc", 3) == 0);
    int seen = other.calls;
    pthread_mutex_unlock(&other.lock);
    int before = calls(&told);
    OK(bmclink_console_close(s.consoles[0], PATIENCE));
    lock_after(&other, seen + 1);
    TRUE(other.state == BMCLINK_STATE_UNCONNECTED && other.reason == BMCLINK_ERR_CLOSED);
    pthread_mutex_unlock(&other.lock);
    IS(before, calls(&told));
    OK(bmclink_console_set_callback(s.consoles[0], 0, NULL, NULL));
    OK(bmclink_console_set_callback(s.consoles[0], 0, NULL, NULL));

    /* A callback that ends itself, one that frees its console, one that frees the engine. */
    struct told ends = nothing, frees = nothing, stops = nothing;
    ends.unset = s.consoles[1];
    frees.free_console = s.consoles[2];
    stops.free_engine = s.engine;
    OK(bmclink_console_set_callback(s.consoles[1], 0, take_event, &ends));
    OK(bmclink_console_begin_connect(s.consoles[1]));
    lock_after(&ends, 1);
    pthread_mutex_unlock(&ends.lock);
    OK(bmclink_console_connect(s.consoles[1], PATIENCE));
    IS(1, calls(&ends));
    OK(bmclink_console_set_callback(s.consoles[2], 0, take_event, &frees));
    OK(bmclink_console_begin_connect(s.consoles[2]));
    lock_after(&frees, 1);
    pthread_mutex_unlock(&frees.lock);
    s.consoles[2] = NULL;
    OK(bmclink_console_set_callback(s.consoles[3], 0, take_event, &stops));
    (void)bmclink_console_connect(s.consoles[3], PATIENCE);
    lock_after(&stops, 1);
    pthread_mutex_unlock(&stops.lock);
    s.engine = NULL;
    IS(BMCLINK_ERR_SHUT_DOWN, bmclink_console_set_callback(s.consoles[1], 0, take_event, &ends));
    IS(1, calls(&frees));
    /* The thread it was in ends by itself; a moment for that, for the leak check. */
    tear_down(&s);
    sleep_ms(100);
}

static uint64_t value(bmclink_stats *stats, int32_t stat)
{
    uint64_t value = 0;
    OK(bmclink_stats_value(stats, stat, &value));
    return value;
}

/* What was counted of the engine, of each of its threads, and of a BMC. */
static void counting(void)
{
    struct setup s;
    bmclink_stats *stats = NULL;
    bmclink_stats *thread;
    uint64_t turns = 0, none = 7;
    int32_t names = 0;

    MISUSE(bmclink_engine_stats(NULL, -1, &stats));
    MISUSE(bmclink_bmc_stats(NULL, &stats));
    OK(bmclink_stats_free(NULL));
    while (bmclink_stat_name(names + 1) != NULL)
        names++;
    IS(BMCLINK_STAT_LAST_HEARD_MS, names);
    TRUE(strcmp(bmclink_stat_name(BMCLINK_STAT_KERNEL_DROPPED), "kernel_dropped") == 0);
    TRUE(bmclink_stat_name(0) == NULL && bmclink_stat_name(-1) == NULL);

    set_up(&s);
    OK(bmclink_console_connect(s.consoles[1], PATIENCE));
    MISUSE(bmclink_engine_stats(s.engine, -1, NULL));
    MISUSE(bmclink_engine_stats(s.engine, 64, &stats));
    TRUE(stats == NULL);
    OK(bmclink_engine_stats(s.engine, -1, &stats));
    IS(COUNT, value(stats, BMCLINK_STAT_BMCS));
    IS(1, value(stats, BMCLINK_STAT_CONSOLES));
    IS(1, value(stats, BMCLINK_STAT_LOGINS));
    MISUSE(bmclink_stats_value(stats, BMCLINK_STAT_ROUND_TRIP_US, &none));
    MISUSE(bmclink_stats_value(stats, 1000, &none));
    MISUSE(bmclink_stats_value(stats, BMCLINK_STAT_BMCS, NULL));
    TRUE(none == 7);
    for (int32_t i = 0; bmclink_engine_stats(s.engine, i, &thread) == BMCLINK_OK; i++) {
        turns += value(thread, BMCLINK_STAT_TURNS);
        OK(bmclink_stats_free(thread));
    }
    TRUE(turns >= value(stats, BMCLINK_STAT_TURNS));
    OK(bmclink_stats_free(stats));
    MISUSE(bmclink_stats_value(stats, BMCLINK_STAT_BMCS, &none));
    MISUSE(bmclink_stats_free(stats));

    OK(bmclink_console_counter(s.consoles[1], BMCLINK_COUNTER_LAST_DATA_MS, &none));
    TRUE(none == UINT64_MAX);
    tear_down(&s);
}

int main(void)
{
    misuse();
    counting();
    many_consoles();
    a_queue_is_freed_under_waiting_threads();
    callbacks();
    puts("waiting: all as the header says");
    return EXIT_SUCCESS;
}
