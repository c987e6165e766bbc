/*
 * What changes under a program, through the C ABI: passwords, addresses, again and again, with
 * calls in flight. Cases A1 to A5 of the acceptance list. (Events of a console that heals, and
 * equal options: healing.c. K_g and shared credentials: the tests in Rust.) Ends with status 0
 * when everything is as the header says; run under sanitizers.
 */
#define _DEFAULT_SOURCE
#include "bmcs.h"
#include <dirent.h>
#include <pthread.h>

/* How many entries a folder of /proc/self has: threads, descriptors. */
static int entries(const char *folder)
{
    DIR *open = opendir(folder);
    TRUE(open != NULL);
    int count = 0;
    while (readdir(open) != NULL)
        count++;
    closedir(open);
    return count;
}

/* A1: the password is updated to a wrong one. */
static void a_password_is_followed(void)
{
    struct setup s;
    set_up(&s, "none", 1);
    bmclink_bmc *bmc = open_bmc(&s, 0);
    IS(1, bmclink_bmc_power_status(bmc, PATIENCE));
    IS(1, counted(&s, 0, "rakp1"));
    OK(set_password(&s, "wrong"));
    IS(BMCLINK_ERR_PASSWORD, ask(bmc));
    await_count(&s, 0, "sessions_closed", 1);
    IS(2, counted(&s, 0, "rakp1"));
    IS(0, counted(&s, 0, "unknown_session"));
    IS(1, counted(&s, 0, "sessions_opened"));
    OK(set_password(&s, "password"));
    OK(ask(bmc));
    IS(2, counted(&s, 0, "sessions_opened"));
    OK(bmclink_bmc_free(bmc));
    tear_down(&s);
}

/* A2: another address: the old BMC gets the close, and nothing more. */
static void an_address_is_followed(void)
{
    struct setup s;
    set_up(&s, "none", 2);
    bmclink_bmc *bmc = open_bmc(&s, 0);
    OK(ask(bmc));
    OK(move_to(&s, bmc, 1));
    OK(ask(bmc));
    await_count(&s, 0, "sessions_closed", 1);
    int64_t datagrams = counted(&s, 0, "datagrams_in"), commands = counted(&s, 0, "commands");
    for (int i = 0; i < 10; i++)
        OK(ask(bmc));
    IS(datagrams, counted(&s, 0, "datagrams_in"));
    IS(commands, counted(&s, 0, "commands"));
    TRUE(counted(&s, 1, "commands") >= 11);
    OK(bmclink_bmc_free(bmc));
    await_count(&s, 1, "sessions_closed", 1);
    IS(datagrams, counted(&s, 0, "datagrams_in"));
    tear_down(&s);
}

struct call {
    pthread_t thread;
    bmclink_bmc *bmc;
    int32_t result;
};

static void *ask_once(void *argument)
{
    struct call *call = argument;
    call->result = ask(call->bmc);
    return NULL;
}

/* A3: reconfigured while commands are in flight. */
static void calls_in_flight_end(void)
{
    struct setup s;
    struct call calls[4];
    set_up(&s, "none", 2);
    bmclink_bmc *bmc = open_bmc(&s, 0);
    OK(bmclink_bmc_connect(bmc, PATIENCE));
    OK(bmclink_sim_set_delay_ms(s.sim, 0, 6, 1, 600000));
    int64_t before = counted(&s, 0, "commands");
    for (int i = 0; i < 4; i++) {
        calls[i].bmc = bmc;
        OK(pthread_create(&calls[i].thread, NULL, ask_once, &calls[i]));
    }
    for (int ms = 0; ms < PATIENCE && counted(&s, 0, "commands") == before; ms++)
        sleep_ms(1);
    OK(move_to(&s, bmc, 1));
    /* None of them waits for the answer of ten minutes later. */
    for (int i = 0; i < 4; i++) {
        OK(pthread_join(calls[i].thread, NULL));
        TRUE(calls[i].result == BMCLINK_ERR_RECONFIGURED || calls[i].result == BMCLINK_OK);
    }
    OK(ask(bmc));
    OK(bmclink_bmc_free(bmc));
    tear_down(&s);
}

/* A4: a hundred changes leave one session, and no thread or descriptor more than there was. */
static void changes_leave_nothing_behind(void)
{
    struct setup s;
    set_up(&s, "echo", 2);
    bmclink_bmc *bmc = open_bmc(&s, 0);
    bmclink_console *console;
    OK(bmclink_console_open(bmc, NULL, &console));
    OK(bmclink_console_connect(console, PATIENCE));
    OK(move_to(&s, bmc, 1));
    OK(ask(bmc));
    int threads = entries("/proc/self/task"), descriptors = entries("/proc/self/fd");
    for (int i = 1; i <= 100; i++) {
        OK(move_to(&s, bmc, (uint32_t)(i & 1)));
        if (i % 10 == 0)
            OK(ask(bmc));
    }
    /* Twice at once: the last one counts. And equal values are no change. */
    OK(move_to(&s, bmc, 1));
    OK(move_to(&s, bmc, 0));
    OK(ask(bmc));
    int64_t logins = bmclink_bmc_logins(bmc);
    int64_t opened = counted(&s, 0, "sessions_opened");
    for (int i = 0; i < 20; i++)
        OK(move_to(&s, bmc, 0));
    OK(set_password(&s, "password"));
    OK(ask(bmc));
    IS(logins, bmclink_bmc_logins(bmc));
    IS(opened, counted(&s, 0, "sessions_opened"));
    OK(bmclink_console_connect(console, PATIENCE));
    echoes(console);
    /* The one that is up is the only one. */
    await_count(&s, 0, "sessions_closed", opened - 1);
    await_count(&s, 1, "sessions_closed", counted(&s, 1, "sessions_opened"));
    TRUE(entries("/proc/self/task") <= threads);
    for (int ms = 0; ms < PATIENCE && entries("/proc/self/fd") > descriptors; ms++)
        sleep_ms(1);
    TRUE(entries("/proc/self/fd") <= descriptors);
    OK(bmclink_console_free(console));
    OK(bmclink_bmc_free(bmc));
    tear_down(&s);
}

/* A5: good, bad, good, with the change at any step of a login. */
static void it_heals_every_time(void)
{
    struct setup s;
    bmclink_console_options *options;
    bmclink_console *console;
    set_up(&s, "echo", 2);
    OK(bmclink_sim_set_reachable(s.sim, 1, 0));
    OK(bmclink_console_options_new(&options));
    OK(bmclink_console_options_set_keep(options, BMCLINK_KEEP_ALWAYS, 0));
    bmclink_bmc *bmc = open_bmc(&s, 0);
    OK(bmclink_console_open(bmc, options, &console));
    for (int cycle = 0; cycle < 60; cycle++) {
        /* Every other time it is moved away again before it can be connected. */
        sleep_ms(cycle % 4);
        OK(move_to(&s, bmc, 1));
        sleep_ms(cycle % 7);
        OK(move_to(&s, bmc, 0));
        if (cycle % 2 == 0)
            continue;
        while (bmclink_console_state(console) != BMCLINK_STATE_CONNECTED)
            OK(bmclink_console_connect(console, PATIENCE));
        echoes(console);
    }
    OK(ask(bmc));
    OK(bmclink_console_options_free(options));
    OK(bmclink_console_free(console));
    OK(bmclink_bmc_free(bmc));
    await_count(&s, 0, "sessions_closed", counted(&s, 0, "sessions_opened"));
    tear_down(&s);
}

int main(void)
{
    a_password_is_followed();
    an_address_is_followed();
    calls_in_flight_end();
    changes_leave_nothing_behind();
    it_heals_every_time();
    puts("changing: all as the header says");
    return EXIT_SUCCESS;
}
