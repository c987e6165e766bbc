/*
 * A console that follows changes: its BMC gets another address, another password, the wrong one
 * and the right one, and the console heals each time by itself. All that happens is printed.
 *
 *     reconfigure [host user password]
 *
 * Then lines of standard input change it: "host NAME", "user NAME", "password TEXT"; any other
 * line is typed at the console. Without a host, does all that with two simulated BMCs, one after
 * the other, and ends.
 */
#define _DEFAULT_SOURCE
#include <bmclink.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 30000 };

static char user[17] = "admin", secret[21] = "password";
static bmclink_engine *engine;
static bmclink_credentials *login;
static bmclink_bmc_options *options;
static bmclink_bmc *bmc;
static bmclink_console *console;

static int complain(const char *what)
{
    fprintf(stderr, "reconfigure: %s: %s\nreconfigure: %s\n", what, bmclink_last_error(),
            bmclink_last_error_advice());
    return -1;
}

/* A thread of its own: prints all that happens, in order, until the console is closed. */
static void *print_events(void *reader)
{
    char buffer[1024];
    int32_t event;
    uint64_t number;
    int64_t len;
    while ((len = bmclink_reader_next(reader, buffer, sizeof buffer, -1, &event, &number)) >= 0) {
        switch (event) {
        case BMCLINK_EVENT_DATA: printf("< %.*s\n", (int)len, buffer); break;
        case BMCLINK_EVENT_CONNECTING: puts("connecting"); break;
        case BMCLINK_EVENT_CONNECTED: printf("connected (%d)\n", (int)number); break;
        case BMCLINK_EVENT_DISCONNECTED:
            /* The text of the reason is this thread's last error. */
            if (bmclink_reader_event_reason(reader) < 0)
                printf("not connected: %s\n", bmclink_last_error());
            break;
        case BMCLINK_EVENT_GAP: puts("(something may be missing here)"); break;
        case BMCLINK_EVENT_INPUT_LOST: puts("(what was typed last may be lost)"); break;
        default: break; /* Later versions may tell more. */
        }
        fflush(stdout);
    }
    return NULL;
}

/* From now on it is at this address. The old session is closed in the background. */
static int set_host(const char *host, uint16_t port)
{
    if (bmclink_bmc_options_set_host(options, host) < 0
        || bmclink_bmc_options_set_port(options, port) < 0
        || bmclink_bmc_reconfigure(bmc, options) < 0)
        return complain(host);
    return 0;
}

/* From now on these log in: every BMC that has these credentials. */
static int set_login(void)
{
    size_t user_len = strlen(user), secret_len = strlen(secret);
    int32_t code = bmclink_credentials_update(login, user, user_len, secret, secret_len, NULL, 0);
    return code < 0 ? complain(user) : 0;
}

/* Carries out one line of input. */
static int obey(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    printf("> %s\n", line);
    fflush(stdout);
    if (strncmp(line, "host ", 5) == 0)
        return set_host(line + 5, 623);
    if (strncmp(line, "user ", 5) == 0) {
        snprintf(user, sizeof user, "%s", line + 5);
        return set_login();
    }
    if (strncmp(line, "password ", 9) == 0) {
        snprintf(secret, sizeof secret, "%s", line + 9);
        return set_login();
    }
    if (bmclink_console_write(console, line, strlen(line), 1000) < 0
        || bmclink_console_write(console, "\r", 1, 1000) < 0)
        complain("input"); /* It is not connected: that is no reason to end. */
    return 0;
}

/* Waits until it is connected for the so-manieth time, says something there, and hears it. */
static int see(uint64_t wanted)
{
    char hello[] = "hello", heard = '\0';
    uint64_t times = 0;
    for (int waits = 0; times < wanted; waits++) {
        int32_t state = bmclink_console_state(console);
        int32_t now = bmclink_console_wait_state(console, state, 50);
        if (waits == PATIENCE_MS / 50 || (now < 0 && now != BMCLINK_ERR_TIMED_OUT)
            || bmclink_console_counter(console, BMCLINK_COUNTER_EPOCH, &times) < 0)
            return complain("waiting");
    }
    obey(hello);
    /* The console has a reader of its own, beside that of the other thread. */
    while (heard != '\r')
        if (bmclink_console_read(console, &heard, 1, PATIENCE_MS) < 0)
            return complain("echo");
    return 0;
}

/* Waits for a refusal: the console is kept, but a wrong password is not tried again and again. */
static int see_refusal(void)
{
    for (;;) {
        int32_t state, reason;
        uint64_t since_ms, next_try_ms;
        if (bmclink_console_why(console, &state, &reason, &since_ms, &next_try_ms) < 0)
            return complain("why");
        if (state == BMCLINK_STATE_UNCONNECTED && reason == BMCLINK_ERR_PASSWORD) {
            printf("tried again in a minute, or when something is changed\n");
            return 0;
        }
        if (bmclink_console_wait_state(console, state, PATIENCE_MS) < 0)
            return complain("waiting");
    }
}

/* The demonstration: everything that can change, changes. */
static int demonstrate(bmclink_sim *sim)
{
    char second[BMCLINK_ADDRESS_MAX], wrong[] = "password wrong", right[] = "password password";
    uint16_t port;
    if (bmclink_sim_address(sim, 1, second, sizeof second, &port) < 0)
        return complain("simulated BMC");
    if (see(1) < 0)
        return -1;
    printf("> another address\n");
    if (set_host(second, port) < 0 || see(2) < 0)
        return -1;
    return obey(wrong) < 0 || see_refusal() < 0 || obey(right) < 0
        || see(3) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    char host[BMCLINK_ADDRESS_MAX], line[512];
    uint16_t port = 623;
    int failed = -1;
    pthread_t events;
    bmclink_sim *sim = NULL;
    bmclink_console_options *kept = NULL;
    bmclink_reader *reader = NULL;
    if (argc == 4) {
        snprintf(host, sizeof host, "%s", argv[1]);
        snprintf(user, sizeof user, "%s", argv[2]);
        snprintf(secret, sizeof secret, "%s", argv[3]);
    } else if (argc > 1) {
        return fprintf(stderr, "reconfigure [host user password]\n"), EXIT_FAILURE;
    } else if (bmclink_sim_start("spec", "echo", 2, &sim) < 0
               || bmclink_sim_address(sim, 0, host, sizeof host, &port) < 0) {
        return complain("simulated BMCs"), EXIT_FAILURE;
    }
    if (bmclink_engine_new(NULL, &engine) < 0
        || bmclink_credentials_new(user, strlen(user), secret, strlen(secret), NULL, 0, &login) < 0
        || bmclink_bmc_options_new(host, login, &options) < 0
        || bmclink_bmc_options_set_port(options, port) < 0
        || bmclink_bmc_open(engine, options, &bmc) < 0
        || bmclink_console_options_new(&kept) < 0
        || bmclink_console_options_set_keep(kept, BMCLINK_KEEP_ALWAYS, 0) < 0
        || bmclink_console_open(bmc, kept, &console) < 0
        || bmclink_reader_open(console, 1, &reader) < 0) {
        complain(host);
    } else if (pthread_create(&events, NULL, print_events, reader) == 0) {
        failed = sim == NULL ? 0 : demonstrate(sim);
        while (sim == NULL && failed == 0 && fgets(line, sizeof line, stdin) != NULL)
            failed = obey(line);
        bmclink_console_close(console, 2000);
        pthread_join(events, NULL);
    }
    bmclink_reader_free(reader);
    bmclink_console_free(console);
    bmclink_console_options_free(kept);
    bmclink_bmc_free(bmc);
    bmclink_bmc_options_free(options);
    bmclink_credentials_free(login);
    bmclink_engine_free(engine);
    bmclink_sim_free(sim);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
