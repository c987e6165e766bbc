/*
 * Connecting, refusals, retries, callbacks that misbehave, and ends in any order with traffic in
 * flight, through the C ABI. Cases C1, C3, E2 and E6 of the acceptance list. (Callbacks that free
 * what they are called for: waiting.c. Lockout limits and back-off: the tests in Rust, under
 * virtual time.) Ends with status 0 when everything is as the header says; run under sanitizers.
 */
#define _DEFAULT_SOURCE
#include "bmcs.h"
#include <pthread.h>

/* C1: a BMC that is silent gives two events and one reason. */
static void a_black_hole(void)
{
    struct setup s;
    char text[8];
    int32_t event = 0;
    uint64_t number = 0;
    bmclink_reader *reader;
    set_up(&s, "echo", 1);
    OK(bmclink_sim_set_reachable(s.sim, 0, 0));
    bmclink_bmc_options *options = options_of(&s, 0);
    OK(bmclink_bmc_options_set_login_attempts(options, 1));
    OK(bmclink_bmc_options_set_timing_ms(options, BMCLINK_TIMING_HANDSHAKE_MAX, 1000));
    bmclink_bmc *bmc;
    bmclink_console *console;
    OK(bmclink_bmc_open(s.engine, options, &bmc));
    OK(bmclink_bmc_options_free(options));
    OK(bmclink_console_open(bmc, NULL, &console));
    OK(bmclink_reader_open(console, 1, &reader));
    IS(BMCLINK_ERR_UNREACHABLE, bmclink_console_connect(console, PATIENCE));
    IS(0, bmclink_reader_next(reader, text, sizeof text, PATIENCE, &event, &number));
    IS(BMCLINK_EVENT_CONNECTING, event);
    IS(0, bmclink_reader_next(reader, text, sizeof text, PATIENCE, &event, &number));
    IS(BMCLINK_EVENT_DISCONNECTED, event);
    IS(BMCLINK_ERR_UNREACHABLE, bmclink_reader_event_reason(reader));
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_reader_next(reader, text, 8, 100, &event, &number));
    IS(BMCLINK_ERR_UNREACHABLE, bmclink_console_reason(console));

    /* Connected only when SOL was activated. */
    OK(bmclink_sim_set_reachable(s.sim, 0, 1));
    OK(bmclink_console_connect(console, PATIENCE));
    IS(1, counted(&s, 0, "activate_payload"));
    until(reader, BMCLINK_EVENT_CONNECTING);
    IS(0, bmclink_reader_next(reader, text, sizeof text, PATIENCE, &event, &number));
    IS(BMCLINK_EVENT_CONNECTED, event);
    OK(bmclink_reader_free(reader));
    OK(bmclink_console_free(console));
    OK(bmclink_bmc_free(bmc));
    tear_down(&s);
}

/* C1: each way to refuse SOL has its own reason, which says the code. */
static void refusals(void)
{
    static const struct {
        uint8_t code;
        int32_t error;
    } refused[] = {
        {0x80, BMCLINK_ERR_SOL_IN_USE},  {0x81, BMCLINK_ERR_SOL_DISABLED},
        {0x82, BMCLINK_ERR_SOL_IN_USE},  {0x83, BMCLINK_ERR_SOL_REFUSED},
        {0x84, BMCLINK_ERR_SOL_REFUSED}, {0xc9, BMCLINK_ERR_SOL_REFUSED},
        {0xc1, BMCLINK_ERR_SOL_REFUSED}, {0xd4, BMCLINK_ERR_PRIVILEGE},
    };
    enum { COUNT = sizeof refused / sizeof refused[0] };
    char texts[COUNT][256];
    struct setup s;
    bmclink_console_options *options;
    set_up(&s, "echo", COUNT);
    OK(bmclink_console_options_new(&options));
    OK(bmclink_console_options_set_take_over(options, BMCLINK_TAKE_OVER_NEVER));
    for (uint32_t i = 0; i < COUNT; i++) {
        OK(bmclink_sim_refuse(s.sim, i, 6, 0x48, refused[i].code, 100));
        bmclink_console *console = open_console(&s, i, options);
        IS(refused[i].error, bmclink_console_connect(console, PATIENCE));
        IS(refused[i].code, bmclink_last_error_completion_code());
        IS(BMCLINK_STAGE_ACTIVATE_SOL, bmclink_last_error_stage());
        TRUE(strlen(bmclink_last_error_advice()) > 0);
        snprintf(texts[i], sizeof texts[i], "%s", bmclink_last_error());
        for (uint32_t j = 0; j < i; j++)
            TRUE(strcmp(texts[i], texts[j]) != 0);
        IS(BMCLINK_STATE_UNCONNECTED, bmclink_console_state(console));
        OK(bmclink_console_free(console));
    }
    OK(bmclink_console_options_free(options));
    tear_down(&s);
}

/* C3: the next try is a minute away, and somebody attaches; and a write before its time. */
static void who_attaches_is_not_kept_waiting(void)
{
    struct setup s;
    bmclink_console_options *options;
    bmclink_reader *reader;
    int32_t state, reason;
    uint64_t since, next_try;
    set_up(&s, "echo", 1);
    OK(bmclink_sim_set_password(s.sim, 0, "admin", 5, "another", 7));
    OK(bmclink_console_options_new(&options));
    OK(bmclink_console_options_set_keep(options, BMCLINK_KEEP_ALWAYS, 0));
    bmclink_console *console = open_console(&s, 0, options);
    OK(bmclink_console_options_free(options));
    do {
        sleep_ms(1);
        OK(bmclink_console_why(console, &state, &reason, &since, &next_try));
    } while (reason != BMCLINK_ERR_PASSWORD || state != BMCLINK_STATE_UNCONNECTED);
    TRUE(next_try > 30000 && next_try <= 75000);
    int64_t refused = counted(&s, 0, "rakp1");
    IS(BMCLINK_ERR_NOT_CONNECTED, bmclink_console_write(console, "a", 1, PATIENCE));

    /* The password is right again at the BMC; here nobody knows. */
    OK(bmclink_sim_set_password(s.sim, 0, "admin", 5, "password", 8));
    OK(bmclink_sim_set_delay_ms(s.sim, 0, 6, 0x48, 500));
    OK(bmclink_reader_open(console, 0, &reader));
    until(reader, BMCLINK_EVENT_CONNECTING);
    IS(BMCLINK_ERR_NOT_CONNECTED, bmclink_console_write(console, "b", 1, PATIENCE));
    until(reader, BMCLINK_EVENT_CONNECTED);
    IS(refused + 1, counted(&s, 0, "rakp1"));
    IS(1, counted(&s, 0, "activate_payload"));
    /* Only what was written now is echoed. */
    echoes(console);
    OK(bmclink_reader_free(reader));
    OK(bmclink_console_free(console));
    tear_down(&s);
}

struct blocked {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int inside;
    int go_on;
    bmclink_console *other;
};

static void block(int32_t event, int32_t state, int32_t reason, uint64_t number, const void *bytes,
                  size_t len, void *user)
{
    struct blocked *blocked = user;
    (void)event, (void)state, (void)reason, (void)number, (void)bytes, (void)len;
    /* Blocking calls are fine in here, on this console's neighbour too. */
    OK(bmclink_console_connect(blocked->other, PATIENCE));
    pthread_mutex_lock(&blocked->lock);
    blocked->inside = 1;
    pthread_cond_broadcast(&blocked->changed);
    while (!blocked->go_on)
        pthread_cond_wait(&blocked->changed, &blocked->lock);
    pthread_mutex_unlock(&blocked->lock);
}

/* E2: a callback that does not return holds up nothing but itself, not even its own console. */
static void a_callback_blocks(void)
{
    struct setup s;
    struct blocked blocked = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, NULL};
    set_up(&s, "echo", 2);
    bmclink_console *console = open_console(&s, 0, NULL), *other = open_console(&s, 1, NULL);
    blocked.other = other;
    OK(bmclink_console_set_callback(console, 0, block, &blocked));
    OK(bmclink_console_connect(console, PATIENCE));
    pthread_mutex_lock(&blocked.lock);
    while (!blocked.inside)
        pthread_cond_wait(&blocked.changed, &blocked.lock);
    pthread_mutex_unlock(&blocked.lock);
    for (int i = 0; i < 20; i++) {
        echoes(other);
        echoes(console);
    }
    OK(bmclink_console_drain(console, PATIENCE));
    IS(0, counted(&s, 0, "sol_retransmits"));
    IS(0, counted(&s, 1, "sol_retransmits"));
    pthread_mutex_lock(&blocked.lock);
    blocked.go_on = 1;
    pthread_cond_broadcast(&blocked.changed);
    pthread_mutex_unlock(&blocked.lock);
    OK(bmclink_console_set_callback(console, 0, NULL, NULL));
    OK(bmclink_console_free(console));
    OK(bmclink_console_free(other));
    tear_down(&s);
}

/* Everything there is of one BMC, used by threads until it is freed. */
struct all {
    struct setup s;
    bmclink_bmc *bmc;
    bmclink_console *console;
    bmclink_reader *reader;
    bmclink_event_queue *queue;
    bmclink_fleet *fleet;
    bmclink_command *command;
    bmclink_run *run;
    /* The order in which they go. */
    int order[8];
};

static void *use_console(void *argument)
{
    struct all *all = argument;
    char text[256] = "what is typed";
    int64_t result;
    do {
        result = bmclink_console_write(all->console, text, sizeof text, 5);
        if (result >= 0 || result == BMCLINK_ERR_TIMED_OUT)
            result = bmclink_reader_read(all->reader, text, sizeof text, 5);
    } while (result >= 0 || result == BMCLINK_ERR_TIMED_OUT);
    return NULL;
}

static void *use_queue(void *argument)
{
    struct all *all = argument;
    uint64_t keys[4];
    int32_t events[4];
    while (bmclink_event_queue_wait(all->queue, keys, events, 4, -1) > 0)
        if (bmclink_event_queue_remove_reader(all->queue, all->reader) == BMCLINK_OK)
            (void)bmclink_event_queue_add_reader(all->queue, all->reader, 2);
    return NULL;
}

static void *use_commands(void *argument)
{
    struct all *all = argument;
    uint64_t index;
    int32_t code;
    while (bmclink_bmc_run(all->bmc, all->command, PATIENCE, NULL) == BMCLINK_OK)
        ;
    while (bmclink_run_next(all->run, -1, &index, &code, NULL) == 1)
        ;
    return NULL;
}

static void free_one(struct all *all, int which)
{
    switch (which) {
    case 0: OK(bmclink_engine_free(all->s.engine)); break;
    case 1: OK(bmclink_bmc_free(all->bmc)); break;
    case 2: OK(bmclink_console_free(all->console)); break;
    case 3: OK(bmclink_reader_free(all->reader)); break;
    case 4: OK(bmclink_event_queue_free(all->queue)); break;
    case 5: OK(bmclink_fleet_free(all->fleet)); break;
    case 6: OK(bmclink_run_free(all->run)); break;
    default: OK(bmclink_sim_free(all->s.sim)); break;
    }
}

static void *free_first_half(void *argument)
{
    for (int i = 0; i < 4; i++)
        free_one(argument, ((struct all *)argument)->order[i]);
    return NULL;
}

static void *free_second_half(void *argument)
{
    for (int i = 4; i < 8; i++)
        free_one(argument, ((struct all *)argument)->order[i]);
    return NULL;
}

/* E6: all of it is freed by two threads, in any order, while others are at work with it. */
static void everything_ends_in_any_order(void)
{
    static void *(*const uses[])(void *) = {use_console, use_console, use_queue, use_commands};
    for (uint32_t round = 0; round < 12; round++) {
        struct all all = {.order = {0, 1, 2, 3, 4, 5, 6, 7}};
        pthread_t threads[4], frees[2];
        set_up(&all.s, round % 3 == 0 ? "flood" : "echo", 1);
        all.bmc = open_bmc(&all.s, 0);
        OK(bmclink_console_open(all.bmc, NULL, &all.console));
        OK(bmclink_reader_open(all.console, 1, &all.reader));
        OK(bmclink_console_connect(all.console, PATIENCE));
        OK(bmclink_event_queue_new(&all.queue));
        OK(bmclink_event_queue_add_console(all.queue, all.console, 1));
        OK(bmclink_event_queue_add_reader(all.queue, all.reader, 2));
        OK(bmclink_fleet_new(&all.fleet));
        for (int i = 0; i < 50; i++)
            IS(i, bmclink_fleet_add(all.fleet, all.bmc));
        OK(bmclink_command_new("chassis_status", &all.command));
        OK(bmclink_fleet_run(all.fleet, all.command, &all.run));
        OK(bmclink_event_queue_add_run(all.queue, all.run, 3));
        /* Another order each round, the same ones each time this runs. */
        uint32_t random = round * 2654435761u + 1;
        for (int i = 7; i > 0; i--) {
            random = random * 1664525u + 1013904223u;
            int j = (int)(random >> 16) % (i + 1), taken = all.order[i];
            all.order[i] = all.order[j];
            all.order[j] = taken;
        }
        for (int i = 0; i < 4; i++)
            OK(pthread_create(&threads[i], NULL, uses[i], &all));
        sleep_ms(round % 8);
        OK(pthread_create(&frees[0], NULL, free_first_half, &all));
        OK(pthread_create(&frees[1], NULL, free_second_half, &all));
        for (int i = 0; i < 2; i++)
            OK(pthread_join(frees[i], NULL));
        for (int i = 0; i < 4; i++)
            OK(pthread_join(threads[i], NULL));
        OK(bmclink_command_free(all.command));
        OK(bmclink_credentials_free(all.s.credentials));
    }
}

int main(void)
{
    a_black_hole();
    refusals();
    who_attaches_is_not_kept_waiting();
    a_callback_blocks();
    everything_ends_in_any_order();
    puts("connecting: all as the header says");
    return EXIT_SUCCESS;
}
