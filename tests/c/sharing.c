/*
 * One session for many, through the C ABI: commands beside a console, many threads at one BMC,
 * many readers at one console. Cases B1 to B6 of the acceptance list. (That many readers cost the
 * engine no more than one, and who is woken when: the tests in Rust.) Ends with status 0 when
 * everything is as the header says; run under sanitizers.
 */
#define _DEFAULT_SOURCE
#include "bmcs.h"
#include <pthread.h>

/* B1: console and commands share a login, and each ends without the other. */
static void a_console_beside_commands(void)
{
    struct setup s;
    set_up(&s, "echo", 1);
    bmclink_bmc *bmc = open_bmc(&s, 0);
    bmclink_console *console;
    OK(bmclink_console_open(bmc, NULL, &console));
    OK(bmclink_console_connect(console, PATIENCE));
    OK(ask(bmc));
    echoes(console);
    IS(1, bmclink_bmc_logins(bmc));
    OK(bmclink_console_close(console, PATIENCE));
    IS(1, counted(&s, 0, "deactivate_payload"));
    IS(0, counted(&s, 0, "sessions_closed"));
    OK(ask(bmc));
    IS(1, bmclink_bmc_logins(bmc));
    OK(bmclink_console_free(console));

    /* The handle for commands goes; the console of the same session stays. */
    OK(bmclink_console_open(bmc, NULL, &console));
    OK(bmclink_console_connect(console, PATIENCE));
    OK(bmclink_bmc_free(bmc));
    echoes(console);
    IS(1, counted(&s, 0, "sessions_opened"));
    IS(0, counted(&s, 0, "sessions_closed"));
    OK(bmclink_console_free(console));
    await_count(&s, 0, "sessions_closed", 1);
    IS(2, counted(&s, 0, "activate_payload"));
    IS(1, counted(&s, 0, "sessions_opened"));
    tear_down(&s);
}

/* B2: a console is closed while output floods in. */
static void a_flooding_console_is_closed(void)
{
    struct setup s;
    char text[4096];
    set_up(&s, "flood", 1);
    bmclink_bmc *bmc = open_bmc(&s, 0);
    bmclink_console *console;
    OK(bmclink_console_open(bmc, NULL, &console));
    OK(bmclink_console_connect(console, PATIENCE));
    for (int i = 0; i < 20; i++)
        TRUE(bmclink_console_read(console, text, sizeof text, PATIENCE) > 0);
    OK(bmclink_console_close(console, PATIENCE));
    OK(ask(bmc));
    IS(1, bmclink_bmc_logins(bmc));
    IS(0, counted(&s, 0, "sessions_closed"));
    int64_t left;
    while ((left = bmclink_console_read(console, text, sizeof text, PATIENCE)) > 0)
        ;
    IS(BMCLINK_ERR_CLOSED, left);
    OK(bmclink_console_free(console));
    OK(bmclink_bmc_free(bmc));
    tear_down(&s);
}

#define THREADS 50

struct caller {
    pthread_t thread;
    pthread_barrier_t *together;
    bmclink_bmc *bmc;
    int32_t result;
    int32_t code;
};

static void *connect_at_once(void *argument)
{
    struct caller *caller = argument;
    pthread_barrier_wait(caller->together);
    caller->result = bmclink_bmc_connect(caller->bmc, PATIENCE);
    caller->code = bmclink_last_error_code();
    return NULL;
}

/* B3: fifty threads, with a handle each, want the same BMC at once. */
static void many_threads_log_in_once(void)
{
    struct setup s;
    struct caller callers[THREADS];
    pthread_barrier_t together;
    set_up(&s, "none", 1);
    OK(pthread_barrier_init(&together, NULL, THREADS));
    for (int round = 0; round < 2; round++) {
        OK(round == 0 ? BMCLINK_OK : set_password(&s, "wrong"));
        /* The answer comes when all of them wait for it. */
        OK(bmclink_sim_set_delay_ms(s.sim, 0, 6, 0x38, 300));
        for (int i = 0; i < THREADS; i++) {
            callers[i].together = &together;
            callers[i].bmc = open_bmc(&s, 0);
            OK(pthread_create(&callers[i].thread, NULL, connect_at_once, &callers[i]));
        }
        for (int i = 0; i < THREADS; i++) {
            OK(pthread_join(callers[i].thread, NULL));
            IS(round == 0 ? BMCLINK_OK : BMCLINK_ERR_PASSWORD, callers[i].result);
            IS(round == 0 ? BMCLINK_OK : BMCLINK_ERR_PASSWORD, callers[i].code);
        }
        IS(1, counted(&s, 0, "sessions_opened"));
        for (int i = 0; i < THREADS; i++)
            OK(bmclink_bmc_free(callers[i].bmc));
        await_count(&s, 0, "sessions_closed", 1);
    }
    OK(pthread_barrier_destroy(&together));
    tear_down(&s);
}

#define LINE 64

/* Where a reader is in a flood of numbered lines: it may begin at any byte, and misses none. */
struct place {
    char line[LINE];
    size_t len;
    int64_t number;
    int64_t lines;
};

static void take(struct place *place, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        TRUE(place->len < LINE);
        place->line[place->len++] = bytes[i];
        if (bytes[i] != '\n')
            continue;
        if (place->len == LINE) {
            int64_t number = atoll(place->line);
            TRUE(place->number < 0 || number == place->number + 1);
            place->number = number;
            place->lines++;
        } else {
            /* Only the first one can be the end of one. */
            IS(0, place->lines);
        }
        place->len = 0;
    }
}

static void read_lines(bmclink_reader *reader, struct place *place, int64_t lines)
{
    char text[1024];
    while (place->lines < lines) {
        int64_t len = bmclink_reader_read(reader, text, sizeof text, PATIENCE);
        TRUE(len > 0);
        take(place, text, (size_t)len);
    }
}

/* B4: what comes with the answer to Activate Payload, or before it, is there, once. */
static void the_first_bytes_are_there(void)
{
    struct setup s;
    set_up(&s, "flood", 1);
    bmclink_console *console = open_console(&s, 0, NULL);
    for (int round = 0; round < 5; round++) {
        struct place place = {.number = -1};
        bmclink_reader *reader;
        OK(bmclink_reader_open(console, 0, &reader));
        OK(bmclink_sim_set_delay_ms(s.sim, 0, 6, 0x48, round % 2 == 0 ? 0 : 50));
        OK(bmclink_console_connect(console, PATIENCE));
        read_lines(reader, &place, 50);
        /* From the very first one, however many came with the last read. */
        if (round == 0)
            IS(place.lines - 1, place.number);
        OK(bmclink_reader_free(reader));
        OK(bmclink_console_close(console, PATIENCE));
        OK(bmclink_console_free(console));
        console = open_console(&s, 0, NULL);
    }
    OK(bmclink_console_free(console));
    tear_down(&s);
}

#define READERS 200

/* B5: readers attach while bytes stream; what was and what is have no seam. */
static void readers_attach_to_a_stream(void)
{
    struct setup s;
    static bmclink_reader *readers[READERS];
    static struct place places[READERS];
    bmclink_console_options *options;
    char text[1024];
    set_up(&s, "echo", 1);
    OK(bmclink_console_options_new(&options));
    OK(bmclink_console_options_set_replay_len(options, 1 << 20));
    bmclink_console *console = open_console(&s, 0, options);
    OK(bmclink_console_options_free(options));
    OK(bmclink_console_connect(console, PATIENCE));
    int64_t lines = 0;
    for (int i = 0; i < READERS; i++) {
        /* Three lines each, so that bytes are on their way whenever one attaches. */
        for (int j = 0; j < 3; j++, lines++) {
            char line[LINE + 1];
            snprintf(line, sizeof line, "%010d %052d\n", (int)lines, 0);
            write_all(console, line, LINE);
        }
        OK(bmclink_reader_open(console, 1, &readers[i]));
        places[i].number = -1;
        /* Some of those that are there read a little. */
        int64_t len = bmclink_reader_read(readers[i / 2], text, sizeof text, 0);
        if (len > 0)
            take(&places[i / 2], text, (size_t)len);
    }
    for (int i = 0; i < READERS; i++) {
        read_lines(readers[i], &places[i], lines);
        IS(lines - 1, places[i].number);
        IS(0, bmclink_reader_lost(readers[i]));
        IS(BMCLINK_ERR_TIMED_OUT, bmclink_reader_read(readers[i], text, sizeof text, 0));
        OK(bmclink_reader_free(readers[i]));
    }
    OK(bmclink_console_free(console));
    tear_down(&s);
}

/* B6: a reader that stays away loses its own oldest bytes, is told so, and disturbs nobody. */
static void a_slow_reader_loses_its_own(void)
{
    struct setup s;
    bmclink_console_options *options;
    bmclink_reader *slow;
    static char text[8192];
    set_up(&s, "echo", 1);
    OK(bmclink_console_options_new(&options));
    OK(bmclink_console_options_set_replay_len(options, 4096));
    bmclink_console *console = open_console(&s, 0, options);
    OK(bmclink_console_options_free(options));
    OK(bmclink_reader_open(console, 1, &slow));
    OK(bmclink_console_connect(console, PATIENCE));
    int64_t total = 0;
    struct place place = {.number = -1};
    for (int i = 0; i < 200; i++) {
        char line[LINE + 1];
        snprintf(line, sizeof line, "%010d %052d\n", i, 0);
        write_all(console, line, LINE);
        total += LINE;
        while (place.lines <= i) {
            int64_t len = bmclink_console_read(console, text, sizeof text, PATIENCE);
            TRUE(len > 0);
            take(&place, text, (size_t)len);
        }
    }
    int64_t kept = 0, len;
    struct place end = {.number = -1};
    while ((len = bmclink_reader_read(slow, text, 1000, 0)) > 0) {
        take(&end, text, (size_t)len);
        kept += len;
    }
    IS(BMCLINK_ERR_TIMED_OUT, len);
    TRUE(kept >= 4096 && kept < total);
    IS(total - kept, bmclink_reader_lost(slow));
    IS(199, end.number);
    IS(0, counted(&s, 0, "sol_retransmits"));
    OK(bmclink_reader_free(slow));
    OK(bmclink_console_free(console));
    tear_down(&s);
}

int main(void)
{
    a_console_beside_commands();
    a_flooding_console_is_closed();
    many_threads_log_in_once();
    the_first_bytes_are_there();
    readers_attach_to_a_stream();
    a_slow_reader_loses_its_own();
    puts("sharing: all as the header says");
    return EXIT_SUCCESS;
}
