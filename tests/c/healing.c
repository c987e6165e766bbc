/*
 * Consoles that heal and follow their configuration, and what their readers are told of it. Ends
 * with status 0 when everything is as the header says; run under sanitizers.
 */
#define _DEFAULT_SOURCE
#include "check.h"
#include <pthread.h>
#include <string.h>

/* Two simulated BMCs that echo, and a handle for the first one. */
struct setup {
    bmclink_sim *sim;
    bmclink_engine *engine;
    bmclink_credentials *credentials;
    bmclink_bmc_options *options;
    bmclink_bmc *bmc;
    char addresses[2][BMCLINK_ADDRESS_MAX];
};

static void set_up(struct setup *s)
{
    uint16_t port;
    OK(bmclink_sim_start("spec", "echo", 2, &s->sim));
    OK(bmclink_engine_new(NULL, &s->engine));
    OK(bmclink_credentials_new("admin", 5, "password", 8, NULL, 0, &s->credentials));
    for (uint32_t i = 0; i < 2; i++)
        OK(bmclink_sim_address(s->sim, i, s->addresses[i], sizeof s->addresses[i], &port));
    OK(bmclink_bmc_options_new(s->addresses[0], s->credentials, &s->options));
    OK(bmclink_bmc_options_set_port(s->options, port));
    /* A loss is noticed soon. */
    OK(bmclink_bmc_options_set_timing_ms(s->options, BMCLINK_TIMING_KEEPALIVE, 1000));
    OK(bmclink_bmc_options_set_timing_ms(s->options, BMCLINK_TIMING_KEEPALIVE_RETRY, 200));
    OK(bmclink_bmc_options_set_timing_ms(s->options, BMCLINK_TIMING_LOST_AFTER, 2500));
    OK(bmclink_bmc_open(s->engine, s->options, &s->bmc));
}

static void tear_down(struct setup *s)
{
    OK(bmclink_bmc_options_free(s->options));
    OK(bmclink_bmc_free(s->bmc));
    OK(bmclink_credentials_free(s->credentials));
    OK(bmclink_engine_free(s->engine));
    OK(bmclink_sim_free(s->sim));
}

/* Get Device ID. */
static int32_t ask(bmclink_bmc *bmc)
{
    uint8_t code, response[64];
    size_t len;
    return bmclink_bmc_raw(bmc, 6, 0, 1, NULL, 0, PATIENCE, &code, response, sizeof response,
                           &len);
}

static void misuse(void)
{
    struct setup s;
    bmclink_console_options *options;
    bmclink_console *console;
    bmclink_reader *reader;
    int32_t number = 7, other = 7;
    uint64_t first = 7, second = 7;
    char text[8];

    MISUSE(bmclink_bmc_reconfigure(NULL, NULL));
    MISUSE(bmclink_console_reconfigure(NULL, NULL));
    MISUSE(bmclink_console_options_set_keep(NULL, BMCLINK_KEEP_ALWAYS, 0));
    MISUSE(bmclink_console_options_set_retry_ms(NULL, BMCLINK_RETRY_FIRST, 1000));
    MISUSE(bmclink_console_why(NULL, &number, &other, &first, &second));
    MISUSE(bmclink_reader_next(NULL, text, sizeof text, 0, &number, &first));
    MISUSE(bmclink_reader_event_epoch(NULL));
    MISUSE(bmclink_reader_event_age_ms(NULL));
    MISUSE(bmclink_reader_event_reason(NULL));
    MISUSE(bmclink_console_options_set_log_file(NULL, "log", 0, 0));
    MISUSE(bmclink_console_log_error(NULL));
    MISUSE(bmclink_console_reopen_log(NULL));
    MISUSE(bmclink_sim_reset(NULL, 0));
    MISUSE(bmclink_sim_steal_sol(NULL, 0));
    MISUSE(bmclink_sim_set_reachable(NULL, 0, 1));
    MISUSE(bmclink_sim_set_password(NULL, 0, "admin", 5, "new", 3));

    set_up(&s);
    MISUSE(bmclink_sim_reset(s.sim, 2));
    MISUSE(bmclink_sim_set_password(s.sim, 0, "admin", 5, "twenty-one characters", 21));
    MISUSE(bmclink_sim_set_password(s.sim, 0, NULL, 5, "new", 3));
    MISUSE(bmclink_bmc_reconfigure(s.bmc, NULL));
    MISUSE(bmclink_bmc_reconfigure(s.bmc, (bmclink_bmc_options *)(void *)s.bmc));
    OK(bmclink_console_options_new(&options));
    MISUSE(bmclink_console_options_set_keep(options, 3, 0));
    MISUSE(bmclink_console_options_set_keep(options, -1, 0));
    MISUSE(bmclink_console_options_set_retry_ms(options, 0, 1000));
    MISUSE(bmclink_console_options_set_retry_ms(options, 7, 1000));
    OK(bmclink_console_open(s.bmc, options, &console));
    OK(bmclink_console_log_error(console));
    OK(bmclink_console_reopen_log(console));
    OK(bmclink_console_options_set_log_file(options, "", 0, 0));
    MISUSE(bmclink_console_reconfigure(console, options));
    OK(bmclink_console_options_set_log_file(options, "log", 4095, 0));
    MISUSE(bmclink_console_reconfigure(console, options));
    MISUSE(bmclink_console_options_set_log_file(options, "\xff", 0, 0));
    OK(bmclink_console_options_set_log_file(options, NULL, 0, 0));
    OK(bmclink_console_options_set_instance(options, 16));
    MISUSE(bmclink_console_reconfigure(console, options));
    OK(bmclink_reader_open(console, 1, &reader));
    MISUSE(bmclink_reader_event_age_ms(reader));
    IS(0, bmclink_reader_event_epoch(reader));
    OK(bmclink_reader_event_reason(reader));
    MISUSE(bmclink_reader_next(reader, text, 0, 0, &number, &first));
    MISUSE(bmclink_reader_next(reader, NULL, 8, 0, &number, &first));
    MISUSE(bmclink_reader_next(reader, text, sizeof text, 0, NULL, &first));
    MISUSE(bmclink_reader_next(reader, text, sizeof text, 0, &number, NULL));
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_reader_next(reader, text, 8, 10, &number, &first));
    MISUSE(bmclink_console_why(console, NULL, &other, &first, &second));
    MISUSE(bmclink_console_why(console, &number, NULL, &first, &second));
    MISUSE(bmclink_console_why(console, &number, &other, NULL, &second));
    MISUSE(bmclink_console_why(console, &number, &other, &first, NULL));
    TRUE(number == 7 && other == 7 && first == 7 && second == 7);
    OK(bmclink_console_free(console));
    MISUSE(bmclink_console_reconfigure(console, options));
    OK(bmclink_reader_next(reader, text, 8, PATIENCE, &number, &first));
    IS(BMCLINK_EVENT_DISCONNECTED, number);
    IS(BMCLINK_ERR_CLOSED, bmclink_reader_event_reason(reader));
    IS(BMCLINK_ERR_CLOSED, bmclink_reader_next(reader, text, 8, PATIENCE, &number, &first));
    OK(bmclink_reader_free(reader));
    MISUSE(bmclink_reader_next(reader, text, 8, 0, &number, &first));
    OK(bmclink_console_options_free(options));
    tear_down(&s);
}

/* A1: a wrong password ends the session that is up, and the right one heals. */
static void credentials_are_followed(void)
{
    struct setup s;
    set_up(&s);
    OK(ask(s.bmc));
    IS(1, bmclink_bmc_logins(s.bmc));
    OK(bmclink_credentials_update(s.credentials, "admin", 5, "wrong", 5, NULL, 0));
    int32_t refused = ask(s.bmc);
    TRUE(refused == BMCLINK_ERR_PASSWORD);
    OK(bmclink_credentials_update(s.credentials, "admin", 5, "password", 8, NULL, 0));
    OK(ask(s.bmc));
    IS(2, bmclink_bmc_logins(s.bmc));
    /* The BMC has another password now, and so have we. */
    OK(bmclink_sim_set_password(s.sim, 0, "admin", 5, "another", 7));
    OK(bmclink_credentials_update(s.credentials, "admin", 5, "another", 7, NULL, 0));
    OK(ask(s.bmc));
    IS(3, bmclink_bmc_logins(s.bmc));
    tear_down(&s);
}

/* A2: another address; and options that are equal, which change nothing. */
static void addresses_are_followed(void)
{
    struct setup s;
    char address[BMCLINK_ADDRESS_MAX];
    uint16_t port;
    set_up(&s);
    OK(ask(s.bmc));
    OK(bmclink_bmc_address(s.bmc, address, sizeof address, &port));
    TRUE(strcmp(address, s.addresses[0]) == 0);
    OK(bmclink_bmc_reconfigure(s.bmc, s.options));
    OK(ask(s.bmc));
    IS(1, bmclink_bmc_logins(s.bmc));
    OK(bmclink_sim_set_reachable(s.sim, 0, 0));
    OK(bmclink_bmc_options_set_host(s.options, s.addresses[1]));
    OK(bmclink_bmc_reconfigure(s.bmc, s.options));
    OK(ask(s.bmc));
    IS(2, bmclink_bmc_logins(s.bmc));
    OK(bmclink_bmc_address(s.bmc, address, sizeof address, &port));
    TRUE(strcmp(address, s.addresses[1]) == 0);
    tear_down(&s);
}

/* Waits for one event, over others and bytes. */
static uint64_t until(bmclink_reader *reader, int32_t wanted)
{
    char text[64];
    int32_t event = 0;
    uint64_t number = 0;
    do {
        int64_t len = bmclink_reader_next(reader, text, sizeof text, PATIENCE, &event, &number);
        TRUE(len >= 0 && (len > 0) == (event == BMCLINK_EVENT_DATA));
    } while (event != wanted);
    TRUE(bmclink_reader_event_age_ms(reader) >= 0);
    return number;
}

/* An echo shows that it is alive. */
static void echoes(bmclink_console *console, bmclink_reader *reader)
{
    char text[8];
    int32_t event;
    uint64_t number;
    size_t len = 0;
    IS(5, bmclink_console_write(console, "hello", 5, PATIENCE));
    while (len < 5) {
        int64_t got =
            bmclink_reader_next(reader, text + len, 5 - len, PATIENCE, &event, &number);
        IS(BMCLINK_EVENT_DATA, event);
        TRUE(got >= 1 && number == 0);
        len += (size_t)got;
    }
    TRUE(memcmp(text, "hello", 5) == 0);
}

static void why(bmclink_console *console, int32_t want_state, int32_t want_reason)
{
    int32_t state, reason;
    uint64_t since, next_try;
    OK(bmclink_console_why(console, &state, &reason, &since, &next_try));
    IS(want_state, state);
    IS(want_reason, reason);
    if (reason != 0) {
        IS(reason, bmclink_last_error_code());
        TRUE(strlen(bmclink_last_error()) > 0);
    }
    TRUE(since < 10 * PATIENCE);
    TRUE(next_try == UINT64_MAX || (reason != 0 && next_try <= 75000));
}

/* A console that is always on: over a reset, a theft, a wrong password, and its own options. */
static void a_console_heals(void)
{
    struct setup s;
    bmclink_console_options *options;
    bmclink_console *console;
    bmclink_reader *reader;
    set_up(&s);
    OK(bmclink_console_options_new(&options));
    OK(bmclink_console_options_set_keep(options, BMCLINK_KEEP_ALWAYS, 0));
    OK(bmclink_console_options_set_take_over(options, BMCLINK_TAKE_OVER_ALWAYS));
    OK(bmclink_console_options_set_retry_ms(options, BMCLINK_RETRY_FIRST, 100));
    OK(bmclink_console_options_set_retry_ms(options, BMCLINK_RETRY_STOLEN, 100));
    OK(bmclink_console_open(s.bmc, options, &console));
    OK(bmclink_reader_open(console, 1, &reader));
    IS(1, (int64_t)until(reader, BMCLINK_EVENT_CONNECTED));
    IS(1, bmclink_reader_event_epoch(reader));
    OK(bmclink_reader_event_reason(reader));
    echoes(console, reader);
    why(console, BMCLINK_STATE_CONNECTED, 0);

    OK(bmclink_sim_reset(s.sim, 0));
    until(reader, BMCLINK_EVENT_DISCONNECTED);
    IS(BMCLINK_ERR_LOST, bmclink_reader_event_reason(reader));
    IS(BMCLINK_ERR_LOST, bmclink_last_error_code());
    IS(0, (int64_t)until(reader, BMCLINK_EVENT_GAP));
    IS(2, (int64_t)until(reader, BMCLINK_EVENT_CONNECTED));
    echoes(console, reader);

    OK(bmclink_sim_steal_sol(s.sim, 0));
    until(reader, BMCLINK_EVENT_STOLEN);
    until(reader, BMCLINK_EVENT_DISCONNECTED);
    IS(BMCLINK_ERR_STOLEN, bmclink_reader_event_reason(reader));
    IS(3, (int64_t)until(reader, BMCLINK_EVENT_CONNECTED));
    echoes(console, reader);

    OK(bmclink_credentials_update(s.credentials, "admin", 5, "wrong", 5, NULL, 0));
    until(reader, BMCLINK_EVENT_DISCONNECTED);
    IS(BMCLINK_ERR_RECONFIGURED, bmclink_reader_event_reason(reader));
    until(reader, BMCLINK_EVENT_DISCONNECTED);
    IS(BMCLINK_ERR_PASSWORD, bmclink_reader_event_reason(reader));
    why(console, BMCLINK_STATE_UNCONNECTED, BMCLINK_ERR_PASSWORD);
    OK(bmclink_credentials_update(s.credentials, "admin", 5, "password", 8, NULL, 0));
    IS(4, (int64_t)until(reader, BMCLINK_EVENT_CONNECTED));
    echoes(console, reader);

    /* Equal options, a log and a longer replay break nothing; another take-over does. */
    uint64_t lost = 0;
    OK(bmclink_console_reconfigure(console, options));
    OK(bmclink_console_options_set_log_file(options, "/dev/full", 0, 0));
    OK(bmclink_console_reconfigure(console, options));
    echoes(console, reader);
    for (int ms = 0; ms < PATIENCE && lost == 0; ms++) {
        sleep_ms(1);
        OK(bmclink_console_counter(console, BMCLINK_COUNTER_LOG_LOST, &lost));
    }
    TRUE(lost > 0);
    IS(BMCLINK_ERR_IO, bmclink_console_log_error(console));
    TRUE(strstr(bmclink_last_error(), "/dev/full") != NULL);
    OK(bmclink_console_options_set_replay_len(options, 1 << 20));
    OK(bmclink_console_reconfigure(console, options));
    echoes(console, reader);
    OK(bmclink_console_options_set_take_over(options, BMCLINK_TAKE_OVER_ONCE));
    OK(bmclink_console_reconfigure(console, options));
    until(reader, BMCLINK_EVENT_DISCONNECTED);
    IS(BMCLINK_ERR_RECONFIGURED, bmclink_reader_event_reason(reader));
    IS(5, (int64_t)until(reader, BMCLINK_EVENT_CONNECTED));
    echoes(console, reader);
    OK(bmclink_console_options_free(options));

    OK(bmclink_console_close(console, PATIENCE));
    until(reader, BMCLINK_EVENT_DISCONNECTED);
    IS(BMCLINK_ERR_CLOSED, bmclink_reader_event_reason(reader));
    why(console, BMCLINK_STATE_UNCONNECTED, BMCLINK_ERR_CLOSED);
    OK(bmclink_reader_free(reader));
    OK(bmclink_console_free(console));
    tear_down(&s);
}

static void *read_on(void *reader)
{
    char text[8];
    int32_t event;
    uint64_t number;
    int64_t got;
    while ((got = bmclink_reader_next(reader, text, sizeof text, -1, &event, &number)) >= 0)
        ;
    /* Who comes when it is freed already finds no reader. */
    TRUE(got == BMCLINK_ERR_CLOSED || got == BMCLINK_ERR_MISUSE);
    return NULL;
}

static void a_reader_is_freed_while_it_waits(void)
{
    struct setup s;
    bmclink_console *console;
    set_up(&s);
    OK(bmclink_console_open(s.bmc, NULL, &console));
    OK(bmclink_console_connect(console, PATIENCE));
    for (int round = 0; round < 10; round++) {
        pthread_t thread;
        bmclink_reader *reader;
        OK(bmclink_reader_open(console, 1, &reader));
        OK(pthread_create(&thread, NULL, read_on, reader));
        sleep_ms(5);
        OK(bmclink_reader_free(reader));
        OK(pthread_join(thread, NULL));
    }
    OK(bmclink_console_free(console));
    tear_down(&s);
}

int main(void)
{
    misuse();
    credentials_are_followed();
    addresses_are_followed();
    a_console_heals();
    a_reader_is_freed_while_it_waits();
    puts("healing: all as the header says");
    return EXIT_SUCCESS;
}
