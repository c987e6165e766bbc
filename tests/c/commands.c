/*
 * Management commands by name, what they give, and fleets of BMCs that are asked the same. Ends
 * with status 0 when everything is as the header says; run under sanitizers.
 */
#define _DEFAULT_SOURCE
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <string.h>

/* What no call may write to. */
#define UNTOUCHED(type) ((type *)(uintptr_t)0x5a5a5a5a5a5a5a58u)

#define COUNT 3

/* Three simulated BMCs: one is well, one is switched off, of one the password is another. */
struct setup {
    bmclink_sim *sim;
    bmclink_engine *engine;
    bmclink_credentials *credentials;
    bmclink_bmc *bmcs[COUNT];
};

enum { WELL, SILENT, LOCKED };

static void set_up(struct setup *s)
{
    OK(bmclink_sim_start("spec", "none", COUNT, &s->sim));
    OK(bmclink_engine_new(NULL, &s->engine));
    OK(bmclink_credentials_new("admin", 5, "password", 8, NULL, 0, &s->credentials));
    for (uint32_t i = 0; i < COUNT; i++) {
        bmclink_bmc_options *options;
        char address[BMCLINK_ADDRESS_MAX];
        uint16_t port;
        OK(bmclink_sim_address(s->sim, i, address, sizeof address, &port));
        OK(bmclink_bmc_options_new(address, s->credentials, &options));
        OK(bmclink_bmc_options_set_port(options, port));
        OK(bmclink_bmc_open(s->engine, options, &s->bmcs[i]));
        OK(bmclink_bmc_options_free(options));
    }
    OK(bmclink_sim_set_reachable(s->sim, SILENT, 0));
    OK(bmclink_sim_set_password(s->sim, LOCKED, "admin", 5, "another", 7));
}

static void tear_down(struct setup *s)
{
    for (int i = 0; i < COUNT; i++)
        OK(bmclink_bmc_free(s->bmcs[i]));
    OK(bmclink_credentials_free(s->credentials));
    OK(bmclink_engine_free(s->engine));
    OK(bmclink_sim_free(s->sim));
}

static bmclink_command *command(const char *name)
{
    bmclink_command *command;
    OK(bmclink_command_new(name, &command));
    return command;
}

/* Has a BMC that is well carry a command out, and frees the command. */
static bmclink_result *run(struct setup *s, bmclink_command *command)
{
    bmclink_result *result = NULL;
    OK(bmclink_bmc_run(s->bmcs[WELL], command, PATIENCE, &result));
    TRUE(result != NULL);
    OK(bmclink_command_free(command));
    return result;
}

static void null_everywhere(void)
{
    uint64_t index = 7;
    int32_t code = 7;
    int64_t number = 7;
    double real = 7;
    char buffer[4];

    MISUSE(bmclink_command_new(NULL, UNTOUCHED(bmclink_command *)));
    MISUSE(bmclink_command_new("device_id", NULL));
    MISUSE(bmclink_command_set_number(NULL, "cmd", 1));
    MISUSE(bmclink_command_set_text(NULL, "action", "on"));
    MISUSE(bmclink_command_set_bytes(NULL, "data", "x", 1));
    OK(bmclink_command_free(NULL));
    MISUSE(bmclink_bmc_run(NULL, NULL, 0, NULL));
    MISUSE(bmclink_bmc_cancel(NULL));
    MISUSE(bmclink_bmc_power_status(NULL, 0));
    MISUSE(bmclink_bmc_power(NULL, "on", 0, 0));
    MISUSE(bmclink_result_rows(NULL));
    MISUSE(bmclink_result_fields(NULL, 0));
    TRUE(bmclink_result_name(NULL, 0, 0) == NULL);
    MISUSE(bmclink_result_kind(NULL, 0, "data"));
    MISUSE(bmclink_result_number(NULL, 0, "data", &number));
    MISUSE(bmclink_result_real(NULL, 0, "data", &real));
    TRUE(bmclink_result_text(NULL, 0, "data") == NULL);
    IS(BMCLINK_ERR_MISUSE, bmclink_last_error_code());
    MISUSE(bmclink_result_bytes(NULL, 0, "data", buffer, sizeof buffer));
    OK(bmclink_result_free(NULL));
    MISUSE(bmclink_fleet_new(NULL));
    MISUSE(bmclink_fleet_add(NULL, NULL));
    MISUSE(bmclink_fleet_set_at_once(NULL, 1));
    MISUSE(bmclink_fleet_set_timeout_ms(NULL, 1));
    MISUSE(bmclink_fleet_set_deadline_ms(NULL, 1));
    OK(bmclink_fleet_free(NULL));
    MISUSE(bmclink_fleet_run(NULL, NULL, NULL));
    MISUSE(bmclink_run_next(NULL, 0, &index, &code, NULL));
    MISUSE(bmclink_run_left(NULL));
    MISUSE(bmclink_run_cancel(NULL));
    MISUSE(bmclink_run_fd(NULL));
    MISUSE(bmclink_event_queue_add_run(NULL, NULL, 1));
    MISUSE(bmclink_event_queue_remove_run(NULL, NULL));
    OK(bmclink_run_free(NULL));
    MISUSE(bmclink_sim_set_delay_ms(NULL, 0, 6, 1, 10));
    MISUSE(bmclink_sim_refuse(NULL, 0, 6, 1, 0xc0, 1));
    MISUSE(bmclink_sim_misbehave(NULL, 0, "sol_mute"));
    MISUSE(bmclink_sim_counter(NULL, 0, "commands", &index));
    TRUE(index == 7 && code == 7 && number == 7 && real == 7);
}

/* Names and values that are not what a command takes. */
static void what_commands_are_given(void)
{
    struct setup s;
    bmclink_command *none = UNTOUCHED(bmclink_command);
    bmclink_result *result = UNTOUCHED(bmclink_result);
    set_up(&s);
    MISUSE(bmclink_command_new("no_such", &none));
    TRUE(strstr(bmclink_last_error(), "no_such") != NULL);
    MISUSE(bmclink_command_new("", &none));
    MISUSE(bmclink_command_new("\xff", &none));
    MISUSE(bmclink_command_new("device_id", (bmclink_command **)((char *)&none + 1)));
    TRUE(none == UNTOUCHED(bmclink_command));

    bmclink_command *raw = command("raw"), *power = command("power");
    MISUSE(bmclink_command_set_number(raw, "action", 1));
    TRUE(strstr(bmclink_last_error(), "net_fn") != NULL);
    MISUSE(bmclink_command_set_number(raw, NULL, 1));
    MISUSE(bmclink_command_set_text(power, NULL, "on"));
    MISUSE(bmclink_command_set_text(power, "action", NULL));
    MISUSE(bmclink_command_set_text(power, "action", "\xff"));
    MISUSE(bmclink_command_set_bytes(raw, "data", NULL, 1));
    MISUSE(bmclink_command_set_bytes(raw, "data", "x", (size_t)-1));

    /* What is missing, of the wrong kind or out of range is found when it is used. */
    MISUSE(bmclink_bmc_run(s.bmcs[WELL], raw, PATIENCE, &result));
    OK(bmclink_command_set_number(raw, "net_fn", 0x106));
    OK(bmclink_command_set_number(raw, "cmd", 1));
    MISUSE(bmclink_bmc_run(s.bmcs[WELL], raw, PATIENCE, &result));
    OK(bmclink_command_set_number(raw, "net_fn", 7));
    MISUSE(bmclink_bmc_run(s.bmcs[WELL], raw, PATIENCE, &result));
    OK(bmclink_command_set_text(raw, "net_fn", "6"));
    MISUSE(bmclink_bmc_run(s.bmcs[WELL], raw, PATIENCE, &result));
    OK(bmclink_command_set_number(raw, "net_fn", 6));
    OK(bmclink_command_set_number(raw, "data", 1));
    MISUSE(bmclink_bmc_run(s.bmcs[WELL], raw, PATIENCE, &result));
    MISUSE(bmclink_bmc_run(s.bmcs[WELL], power, PATIENCE, &result));
    OK(bmclink_command_set_text(power, "action", "explode"));
    MISUSE(bmclink_bmc_run(s.bmcs[WELL], power, PATIENCE, &result));
    TRUE(strstr(bmclink_last_error(), "cycle") != NULL);
    MISUSE(bmclink_bmc_power(s.bmcs[WELL], "explode", 0, PATIENCE));
    MISUSE(bmclink_bmc_power(s.bmcs[WELL], NULL, 0, PATIENCE));
    MISUSE(bmclink_bmc_run(s.bmcs[WELL], (bmclink_command *)(void *)s.bmcs[WELL], 0, &result));
    MISUSE(bmclink_bmc_run((bmclink_bmc *)(void *)raw, raw, 0, &result));
    TRUE(result == UNTOUCHED(bmclink_result));
    OK(bmclink_command_free(raw));
    MISUSE(bmclink_command_free(raw));
    MISUSE(bmclink_command_set_number(raw, "cmd", 1));
    MISUSE(bmclink_bmc_run(s.bmcs[WELL], raw, 0, &result));
    OK(bmclink_command_free(power));
    tear_down(&s);
}

/* Every accessor, at what is there and at what is not. */
static void results(void)
{
    struct setup s;
    int64_t number = 7;
    double real = 7;
    uint8_t bytes[20];
    set_up(&s);

    bmclink_result *id = run(&s, command("device_id"));
    IS(1, bmclink_result_rows(id));
    int64_t fields = bmclink_result_fields(id, 0);
    TRUE(fields >= 9);
    for (uint64_t place = 0; place < (uint64_t)fields; place++) {
        const char *name = bmclink_result_name(id, 0, place);
        TRUE(name != NULL && strlen(name) > 0);
        TRUE(bmclink_result_kind(id, 0, name) >= BMCLINK_VALUE_NUMBER);
        TRUE(bmclink_result_text(id, 0, name) != NULL);
    }
    TRUE(bmclink_result_name(id, 0, (uint64_t)fields) == NULL);
    TRUE(bmclink_result_name(id, 0, UINT64_MAX) == NULL);
    TRUE(bmclink_result_name(id, 1, 0) == NULL && bmclink_result_name(id, UINT64_MAX, 0) == NULL);
    MISUSE(bmclink_result_fields(id, 1));

    IS(BMCLINK_VALUE_NUMBER, bmclink_result_kind(id, 0, "manufacturer_id"));
    OK(bmclink_result_number(id, 0, "manufacturer_id", &number));
    OK(bmclink_result_real(id, 0, "manufacturer_id", &real));
    TRUE(number >= 0 && real == (double)number);
    TRUE(atoll(bmclink_result_text(id, 0, "manufacturer_id")) == number);
    IS(BMCLINK_VALUE_TEXT, bmclink_result_kind(id, 0, "firmware_revision"));
    const char *revision = bmclink_result_text(id, 0, "firmware_revision");
    TRUE(strchr(revision, '.') != NULL);
    IS((int64_t)strlen(revision),
       bmclink_result_bytes(id, 0, "firmware_revision", bytes, sizeof bytes));
    TRUE(memcmp(bytes, revision, strlen(revision)) == 0);
    TRUE(revision == bmclink_result_text(id, 0, "firmware_revision"));

    number = 7, real = 7;
    IS(0, bmclink_result_kind(id, 0, "no_such"));
    IS(0, bmclink_result_kind(id, 0, ""));
    MISUSE(bmclink_result_kind(id, 1, "busy"));
    MISUSE(bmclink_result_kind(id, 0, NULL));
    MISUSE(bmclink_result_number(id, 0, "no_such", &number));
    MISUSE(bmclink_result_number(id, 0, "firmware_revision", &number));
    TRUE(strstr(bmclink_last_error(), "firmware_revision") != NULL);
    MISUSE(bmclink_result_number(id, 1, "busy", &number));
    MISUSE(bmclink_result_number(id, 0, NULL, &number));
    MISUSE(bmclink_result_number(id, 0, "busy", NULL));
    MISUSE(bmclink_result_real(id, 0, "firmware_revision", &real));
    MISUSE(bmclink_result_real(id, 0, "busy", NULL));
    MISUSE(bmclink_result_bytes(id, 0, "busy", bytes, sizeof bytes));
    MISUSE(bmclink_result_bytes(id, 0, "no_such", bytes, sizeof bytes));
    MISUSE(bmclink_result_bytes(id, 0, "firmware_revision", NULL, 1));
    MISUSE(bmclink_result_bytes(id, 0, "firmware_revision", bytes, (size_t)-1));
    TRUE(bmclink_result_text(id, 0, "no_such") == NULL);
    TRUE(bmclink_result_text(id, 1, "busy") == NULL);
    TRUE(bmclink_result_text(id, 0, NULL) == NULL);
    TRUE(number == 7 && real == 7);
    bmclink_result *stale = id;
    OK(bmclink_result_free(id));
    MISUSE(bmclink_result_free(stale));
    MISUSE(bmclink_result_rows(stale));
    TRUE(bmclink_result_text(stale, 0, "busy") == NULL);
    TRUE(bmclink_result_name(stale, 0, 0) == NULL);

    /* Bytes, with room for all, for some and for none. */
    bmclink_result *guid = run(&s, command("system_guid"));
    IS(BMCLINK_VALUE_BYTES, bmclink_result_kind(guid, 0, "guid"));
    memset(bytes, 0xee, sizeof bytes);
    IS(16, bmclink_result_bytes(guid, 0, "guid", bytes, 4));
    TRUE(bytes[4] == 0xee);
    IS(16, bmclink_result_bytes(guid, 0, "guid", NULL, 0));
    IS(16, bmclink_result_bytes(guid, 0, "guid", bytes, sizeof bytes));
    TRUE(bytes[15] != 0xee && bytes[16] == 0xee);
    const char *digits = bmclink_result_text(guid, 0, "guid");
    char first[3];
    snprintf(first, sizeof first, "%02x", bytes[0]);
    TRUE(strlen(digits) == 32 && strncmp(digits, first, 2) == 0);
    OK(bmclink_result_free(guid));

    /* Nothing to give is no row; nobody to give it to is fine. */
    bmclink_command *identify = command("identify");
    OK(bmclink_command_set_number(identify, "seconds", 0));
    bmclink_result *nothing = run(&s, identify);
    IS(0, bmclink_result_rows(nothing));
    MISUSE(bmclink_result_fields(nothing, 0));
    OK(bmclink_result_free(nothing));
    bmclink_command *status = command("chassis_status");
    OK(bmclink_bmc_run(s.bmcs[WELL], status, PATIENCE, NULL));
    OK(bmclink_command_free(status));
    tear_down(&s);
}

/* Any command by its numbers; and a completion code that is not 0, as a value and as an error. */
static void raw_and_completion_codes(void)
{
    struct setup s;
    int64_t code = 7;
    uint8_t data[64];
    set_up(&s);
    bmclink_command *raw = command("raw");
    OK(bmclink_command_set_number(raw, "net_fn", 6));
    OK(bmclink_command_set_number(raw, "lun", 0));
    OK(bmclink_command_set_number(raw, "cmd", 1));
    OK(bmclink_command_set_bytes(raw, "data", NULL, 0));
    bmclink_result *result = NULL;
    OK(bmclink_bmc_run(s.bmcs[WELL], raw, PATIENCE, &result));
    OK(bmclink_result_number(result, 0, "completion_code", &code));
    IS(0, code);
    TRUE(bmclink_result_bytes(result, 0, "data", data, sizeof data) >= 11);
    OK(bmclink_result_free(result));

    OK(bmclink_command_set_number(raw, "cmd", 0xf0));
    result = run(&s, raw);
    OK(bmclink_result_number(result, 0, "completion_code", &code));
    IS(0xc1, code);
    IS(0, bmclink_result_bytes(result, 0, "data", data, sizeof data));
    OK(bmclink_result_free(result));

    OK(bmclink_sim_refuse(s.sim, WELL, 0, 1, 0xff, 1));
    IS(BMCLINK_ERR_COMPLETION, bmclink_bmc_power_status(s.bmcs[WELL], PATIENCE));
    IS(0xff, bmclink_last_error_completion_code());
    TRUE(strlen(bmclink_last_error_advice()) > 0);
    IS(1, bmclink_bmc_power_status(s.bmcs[WELL], PATIENCE));
    tear_down(&s);
}

static void power(void)
{
    struct setup s;
    int64_t on = 7;
    set_up(&s);
    IS(1, bmclink_bmc_power_status(s.bmcs[WELL], PATIENCE));
    OK(bmclink_bmc_power(s.bmcs[WELL], "off", PATIENCE, PATIENCE));
    IS(0, bmclink_bmc_power_status(s.bmcs[WELL], PATIENCE));
    OK(bmclink_bmc_power(s.bmcs[WELL], "on", -1, PATIENCE));
    IS(1, bmclink_bmc_power_status(s.bmcs[WELL], PATIENCE));
    OK(bmclink_bmc_power(s.bmcs[WELL], "reset", 0, PATIENCE));

    bmclink_command *off = command("power");
    OK(bmclink_command_set_text(off, "action", "off"));
    OK(bmclink_command_set_number(off, "wait_ms", PATIENCE));
    bmclink_result *result = run(&s, off);
    OK(bmclink_result_number(result, 0, "power_on", &on));
    IS(0, on);
    OK(bmclink_result_free(result));

    IS(BMCLINK_ERR_UNREACHABLE, bmclink_bmc_power_status(s.bmcs[SILENT], 50));
    IS(BMCLINK_ERR_PASSWORD, bmclink_bmc_power_status(s.bmcs[LOCKED], PATIENCE));
    TRUE(strlen(bmclink_last_error()) > 0);
    tear_down(&s);
}

/* A thread that waits in a call, and what the call gave in the end. */
struct waiter {
    pthread_t thread;
    bmclink_bmc *bmc;
    bmclink_command *command;
    bmclink_run *run;
    int32_t result;
    int rows;
    pthread_mutex_t lock;
    int done;
};

static void finish(struct waiter *w, int32_t result)
{
    pthread_mutex_lock(&w->lock);
    w->result = result;
    w->done = 1;
    pthread_mutex_unlock(&w->lock);
}

static int is_done(struct waiter *w)
{
    pthread_mutex_lock(&w->lock);
    int done = w->done;
    pthread_mutex_unlock(&w->lock);
    return done;
}

static void *wait_for_command(void *argument)
{
    struct waiter *w = argument;
    finish(w, bmclink_bmc_run(w->bmc, w->command, -1, NULL));
    return NULL;
}

/* Commands end in other threads, by a cancel and by the end of the engine. */
static void commands_are_cancelled(void)
{
    struct setup s;
    struct waiter waiters[4];
    set_up(&s);
    OK(bmclink_sim_set_delay_ms(s.sim, WELL, 6, 1, 100000));
    for (int round = 0; round < 2; round++) {
        bmclink_command *shared = command("device_id");
        for (int i = 0; i < 4; i++) {
            waiters[i] = (struct waiter){.command = shared, .lock = PTHREAD_MUTEX_INITIALIZER};
            waiters[i].bmc = s.bmcs[i < 2 ? WELL : SILENT];
            OK(pthread_create(&waiters[i].thread, NULL, wait_for_command, &waiters[i]));
        }
        sleep_ms(30);
        /* What is under way keeps what it needs. */
        bmclink_command *stale = shared;
        OK(bmclink_command_free(shared));
        if (round == 1) {
            OK(bmclink_engine_free(s.engine));
            s.engine = NULL;
        }
        for (int i = 0; i < 4; i++) {
            while (round == 0 && !is_done(&waiters[i])) {
                OK(bmclink_bmc_cancel(waiters[i].bmc));
                sleep_ms(1);
            }
            OK(pthread_join(waiters[i].thread, NULL));
            /* A thread that came late found no command. */
            if (waiters[i].result != BMCLINK_ERR_MISUSE)
                IS(round == 0 ? BMCLINK_ERR_CANCELLED : BMCLINK_ERR_SHUT_DOWN, waiters[i].result);
        }
        MISUSE(bmclink_command_free(stale));
    }
    IS(BMCLINK_ERR_SHUT_DOWN, bmclink_bmc_power_status(s.bmcs[WELL], PATIENCE));
    tear_down(&s);
}

static bmclink_fleet *fleet_of(struct setup *s)
{
    bmclink_fleet *fleet;
    OK(bmclink_fleet_new(&fleet));
    for (int i = 0; i < COUNT; i++)
        IS(i, bmclink_fleet_add(fleet, s->bmcs[i]));
    return fleet;
}

/* Begins to ask all; what it takes is freed by the time it returns. */
static bmclink_run *begin(struct setup *s, const char *name, int64_t timeout_ms)
{
    bmclink_fleet *fleet = fleet_of(s);
    bmclink_command *asked = command(name);
    bmclink_run *run;
    OK(bmclink_fleet_set_timeout_ms(fleet, timeout_ms));
    OK(bmclink_fleet_run(fleet, asked, &run));
    OK(bmclink_fleet_free(fleet));
    OK(bmclink_command_free(asked));
    return run;
}

static int is_readable(int32_t fd, int timeout_ms)
{
    struct pollfd place = {fd, POLLIN, 0};
    TRUE(fd >= 0);
    return poll(&place, 1, timeout_ms) > 0;
}

static void fleets_give_a_row_for_each(void)
{
    struct setup s;
    int32_t codes[COUNT] = {7, 7, 7}, code = 7;
    uint64_t index = 7;
    set_up(&s);
    bmclink_run *run = begin(&s, "chassis_status", 1500);
    for (int left = COUNT; left > 0; left--) {
        IS(left, bmclink_run_left(run));
        bmclink_result *result = UNTOUCHED(bmclink_result);
        TRUE(is_readable(bmclink_run_fd(run), PATIENCE));
        IS(1, bmclink_run_next(run, PATIENCE, &index, &code, &result));
        TRUE(index < COUNT && codes[index] == 7);
        codes[index] = code;
        TRUE((code == 0) == (result != NULL));
        if (code == 0) {
            int64_t on = 7;
            OK(bmclink_result_number(result, 0, "power_on", &on));
            IS(1, on);
            OK(bmclink_result_free(result));
        } else {
            IS(code, bmclink_last_error_code());
            TRUE(strlen(bmclink_last_error()) > 0);
        }
        /* Whoever is silent is the last. */
        TRUE(left > 1 || index == SILENT);
    }
    TRUE(codes[WELL] == 0 && codes[LOCKED] == BMCLINK_ERR_PASSWORD);
    TRUE(codes[SILENT] == BMCLINK_ERR_TIMED_OUT || codes[SILENT] == BMCLINK_ERR_UNREACHABLE);
    index = 7, code = 7;
    bmclink_result *result = UNTOUCHED(bmclink_result);
    TRUE(is_readable(bmclink_run_fd(run), PATIENCE));
    IS(0, bmclink_run_next(run, -1, &index, &code, &result));
    IS(0, bmclink_run_next(run, 0, &index, &code, NULL));
    IS(0, bmclink_run_left(run));
    TRUE(index == 7 && code == 7 && result == UNTOUCHED(bmclink_result));
    OK(bmclink_run_cancel(run));
    OK(bmclink_run_free(run));

    /* Nobody to ask. */
    bmclink_fleet *fleet;
    bmclink_command *asked = command("device_id");
    OK(bmclink_fleet_new(&fleet));
    OK(bmclink_fleet_run(fleet, asked, &run));
    IS(0, bmclink_run_next(run, -1, &index, &code, NULL));
    OK(bmclink_run_free(run));
    OK(bmclink_fleet_free(fleet));
    OK(bmclink_command_free(asked));
    tear_down(&s);
}

static void fleets_are_misused(void)
{
    struct setup s;
    int32_t code = 7, events;
    uint64_t index = 7;
    bmclink_run *run = UNTOUCHED(bmclink_run);
    bmclink_event_queue *queue;
    set_up(&s);
    bmclink_command *asked = command("device_id");
    bmclink_fleet *fleet = fleet_of(&s);
    MISUSE(bmclink_fleet_add(fleet, NULL));
    MISUSE(bmclink_fleet_add(fleet, (bmclink_bmc *)(void *)fleet));
    MISUSE(bmclink_fleet_run(fleet, NULL, &run));
    MISUSE(bmclink_fleet_run(fleet, asked, NULL));
    OK(bmclink_fleet_set_at_once(fleet, 0));
    MISUSE(bmclink_fleet_run(fleet, asked, &run));
    TRUE(run == UNTOUCHED(bmclink_run));
    OK(bmclink_fleet_set_at_once(fleet, 1));
    OK(bmclink_fleet_set_timeout_ms(fleet, -1));
    OK(bmclink_fleet_set_deadline_ms(fleet, -1));

    /* The time of all together; what has not begun by then says so too. */
    OK(bmclink_sim_set_delay_ms(s.sim, WELL, 6, 1, 100000));
    OK(bmclink_fleet_set_deadline_ms(fleet, 100));
    OK(bmclink_fleet_run(fleet, asked, &run));
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_run_next(run, 0, &index, &code, NULL));
    MISUSE(bmclink_run_next(run, 0, NULL, &code, NULL));
    MISUSE(bmclink_run_next(run, 0, &index, NULL, NULL));
    TRUE(index == 7 && code == 7);
    for (int i = 0; i < COUNT; i++) {
        IS(1, bmclink_run_next(run, PATIENCE, &index, &code, NULL));
        IS(BMCLINK_ERR_TIMED_OUT, code);
    }
    IS(0, bmclink_run_next(run, PATIENCE, &index, &code, NULL));

    OK(bmclink_event_queue_new(&queue));
    OK(bmclink_event_queue_add_run(queue, run, 5));
    MISUSE(bmclink_event_queue_add_run(queue, run, 6));
    MISUSE(bmclink_event_queue_add_run(queue, (bmclink_run *)(void *)fleet, 6));
    IS(1, bmclink_event_queue_wait(queue, &index, &events, 1, PATIENCE));
    TRUE(index == 5 && events == BMCLINK_READY_READABLE);
    OK(bmclink_event_queue_remove_run(queue, run));
    MISUSE(bmclink_event_queue_remove_run(queue, run));
    OK(bmclink_event_queue_add_run(queue, run, 5));
    bmclink_run *stale_run = run;
    bmclink_fleet *stale_fleet = fleet;
    OK(bmclink_run_free(run));
    OK(bmclink_fleet_free(fleet));
    MISUSE(bmclink_run_free(stale_run));
    MISUSE(bmclink_fleet_free(stale_fleet));
    MISUSE(bmclink_run_next(stale_run, -1, &index, &code, NULL));
    MISUSE(bmclink_run_fd(stale_run));
    MISUSE(bmclink_fleet_add(stale_fleet, s.bmcs[0]));
    MISUSE(bmclink_fleet_run(stale_fleet, asked, &run));
    MISUSE(bmclink_event_queue_add_run(queue, stale_run, 6));
    OK(bmclink_event_queue_free(queue));
    OK(bmclink_command_free(asked));
    tear_down(&s);
}

/* Rows that are cancelled, and a run among other things in an event queue. */
static void runs_are_cancelled(void)
{
    struct setup s;
    int32_t code, events;
    uint64_t index, key;
    bmclink_event_queue *queue;
    set_up(&s);
    OK(bmclink_event_queue_new(&queue));
    bmclink_run *run = begin(&s, "self_test", -1);
    OK(bmclink_event_queue_add_run(queue, run, 42));
    for (int rows = 0; rows < COUNT; rows++) {
        IS(1, bmclink_event_queue_wait(queue, &key, &events, 1, PATIENCE));
        IS(42, (int64_t)key);
        IS(1, bmclink_run_next(run, 0, &index, &code, NULL));
        int32_t wanted = index == WELL ? 0 : BMCLINK_ERR_PASSWORD;
        IS(index == SILENT ? BMCLINK_ERR_CANCELLED : wanted, code);
        if (rows == COUNT - 2)
            OK(bmclink_run_cancel(run));
    }
    IS(1, bmclink_event_queue_wait(queue, &key, &events, 1, PATIENCE));
    IS(0, bmclink_run_next(run, 0, &index, &code, NULL));
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_event_queue_wait(queue, &key, &events, 1, 0));
    OK(bmclink_run_free(run));
    OK(bmclink_event_queue_free(queue));
    tear_down(&s);
}

static void *take_rows(void *argument)
{
    struct waiter *w = argument;
    uint64_t index;
    int32_t code, got;
    while ((got = bmclink_run_next(w->run, -1, &index, &code, NULL)) == 1)
        w->rows++;
    finish(w, got);
    return NULL;
}

/* A run is freed while threads wait for its rows: they end, and no row comes twice. */
static void runs_are_freed_under_waiting_threads(void)
{
    struct setup s;
    set_up(&s);
    for (int round = 0; round < 5; round++) {
        struct waiter waiters[3];
        bmclink_run *run = begin(&s, "device_id", -1);
        int rows = 0;
        for (int i = 0; i < 3; i++) {
            waiters[i] = (struct waiter){.run = run, .lock = PTHREAD_MUTEX_INITIALIZER};
            OK(pthread_create(&waiters[i].thread, NULL, take_rows, &waiters[i]));
        }
        sleep_ms(round * 5);
        OK(bmclink_run_free(run));
        for (int i = 0; i < 3; i++) {
            OK(pthread_join(waiters[i].thread, NULL));
            TRUE(waiters[i].result == 0 || waiters[i].result == BMCLINK_ERR_MISUSE);
            rows += waiters[i].rows;
        }
        TRUE(rows <= COUNT);
        MISUSE(bmclink_run_free(run));
    }
    /* The engine goes first, with a run under way. */
    uint64_t index;
    int32_t code;
    bmclink_run *run = begin(&s, "device_id", -1);
    OK(bmclink_engine_free(s.engine));
    s.engine = NULL;
    for (int i = 0; i < COUNT; i++)
        IS(1, bmclink_run_next(run, PATIENCE, &index, &code, NULL));
    IS(0, bmclink_run_next(run, PATIENCE, &index, &code, NULL));
    OK(bmclink_run_free(run));
    tear_down(&s);
}

/* The simulated BMCs count, are late, refuse and misbehave when told to. */
static void simulators_are_poked(void)
{
    struct setup s;
    uint64_t value = 7;
    set_up(&s);
    MISUSE(bmclink_sim_counter(s.sim, COUNT, "commands", &value));
    MISUSE(bmclink_sim_counter(s.sim, WELL, "no_such", &value));
    MISUSE(bmclink_sim_counter(s.sim, WELL, NULL, &value));
    MISUSE(bmclink_sim_counter(s.sim, WELL, "commands", NULL));
    MISUSE(bmclink_sim_misbehave(s.sim, COUNT, "sol_mute"));
    MISUSE(bmclink_sim_misbehave(s.sim, WELL, "no_such"));
    TRUE(strstr(bmclink_last_error(), "sol_mute") != NULL);
    MISUSE(bmclink_sim_misbehave(s.sim, WELL, NULL));
    MISUSE(bmclink_sim_set_delay_ms(s.sim, COUNT, 6, 1, 1));
    MISUSE(bmclink_sim_refuse(s.sim, COUNT, 6, 1, 0xc0, 1));
    TRUE(value == 7);
    OK(bmclink_sim_counter(s.sim, WELL, "rakp1", &value));
    IS(0, (int64_t)value);
    OK(bmclink_sim_misbehave(s.sim, WELL, "duplicate_replies"));
    IS(1, bmclink_bmc_power_status(s.bmcs[WELL], PATIENCE));
    OK(bmclink_sim_counter(s.sim, WELL, "rakp1", &value));
    IS(1, (int64_t)value);
    OK(bmclink_sim_counter(s.sim, WELL, "sessions_opened", &value));
    IS(1, (int64_t)value);
    tear_down(&s);
}

int main(void)
{
    null_everywhere();
    what_commands_are_given();
    results();
    raw_and_completion_codes();
    power();
    commands_are_cancelled();
    fleets_give_a_row_for_each();
    fleets_are_misused();
    runs_are_cancelled();
    runs_are_freed_under_waiting_threads();
    simulators_are_poked();
    puts("commands: all as the header says");
    return EXIT_SUCCESS;
}
