/* libipmiconsole as a contestant of the benchmark: answers the lines that drive.rs describes.
 *
 * usage: ipmiconsole FIRST-ADDRESS PORT USER PASSWORD
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ipmiconsole.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STEP_SECONDS 60.0
#define BLOCK_LEN 2000
#define ENGINE_THREADS 4

struct console {
    ipmiconsole_ctx_t context;
    int fd;
    /* What is being waited for: so many bytes, then this text. */
    long left;
    const char *expected;
    size_t matched;
    /* Of `up`: bytes still to send, and whether a block may go out. */
    long to_send;
};

static struct console *consoles;
static int console_count;
static struct in_addr first;
static int port;
static char *user, *password;
static char failure[512];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int fail(const char *what, const char *why)
{
    snprintf(failure, sizeof failure, "%.200s: %.200s", what, why ? why : strerror(errno));
    for (char *at = failure; *at; at++)
        if (*at == '"' || *at == '\\')
            *at = '\'';
    return -1;
}

static int create(struct console *console, int index)
{
    struct ipmiconsole_ipmi_config ipmi;
    struct ipmiconsole_protocol_config protocol;
    struct ipmiconsole_engine_config engine;
    struct in_addr address = { htonl(ntohl(first.s_addr) + index) };
    char text[INET_ADDRSTRLEN], host[64];

    memset(&ipmi, 0, sizeof ipmi);
    memset(&protocol, 0, sizeof protocol);
    memset(&engine, 0, sizeof engine);
    inet_ntop(AF_INET, &address, text, sizeof text);
    snprintf(host, sizeof host, "%s:%d", text, port);
    ipmi.username = user;
    ipmi.password = password;
    ipmi.privilege_level = IPMICONSOLE_PRIVILEGE_ADMIN;
    ipmi.cipher_suite_id = 3;
    ipmi.workaround_flags = 0;
    protocol.session_timeout_len = -1;
    protocol.retransmission_timeout_len = -1;
    protocol.retransmission_backoff_count = -1;
    protocol.keepalive_timeout_len = -1;
    protocol.retransmission_keepalive_timeout_len = -1;
    protocol.acceptable_packet_errors_count = -1;
    protocol.maximum_retransmission_count = -1;
    engine.engine_flags = IPMICONSOLE_ENGINE_DEFAULT;
    console->fd = -1;
    console->context = ipmiconsole_ctx_create(host, &ipmi, &protocol, &engine);
    return console->context ? 0 : fail("ipmiconsole_ctx_create", NULL);
}

static int take_fd(struct console *console)
{
    console->fd = ipmiconsole_ctx_fd(console->context);
    if (console->fd < 0)
        return fail("ipmiconsole_ctx_fd", ipmiconsole_ctx_errormsg(console->context));
    return fcntl(console->fd, F_SETFL, fcntl(console->fd, F_GETFL) | O_NONBLOCK);
}

static void destroy(struct console *console)
{
    if (console->fd >= 0)
        close(console->fd);
    if (console->context)
        ipmiconsole_ctx_destroy(console->context);
    console->fd = -1;
    console->context = NULL;
}

static void answer_list(const char *name, const double *values, long count)
{
    printf("{\"%s\":[", name);
    for (long at = 0; at < count; at++)
        printf("%s%.3f", at ? "," : "", values[at]);
    printf("]}\n");
}

static int latency(long times)
{
    double *ms = calloc(times + 1, sizeof *ms);

    for (long number = 0; number < times; number++) {
        struct console console;
        double part = number * 0.61803398875;

        /* An engine without consoles sleeps 250 ms at a time: never in step with that. */
        usleep(100000 + 500000 * (part - (long)part));
        double started = now();
        if (create(&console, 0) < 0)
            return -1;
        if (ipmiconsole_engine_submit_block(console.context) < 0)
            return fail("connect", ipmiconsole_ctx_errormsg(console.context));
        if (take_fd(&console) < 0)
            return -1;
        ms[number] = (now() - started) * 1e3;
        destroy(&console);
    }
    answer_list("ms", ms, times);
    free(ms);
    return 0;
}

/* 1 when it is up, 0 when not yet. */
static int is_up(struct console *console)
{
    switch (ipmiconsole_ctx_status(console->context)) {
    case IPMICONSOLE_CTX_STATUS_SOL_ESTABLISHED:
        return 1;
    case IPMICONSOLE_CTX_STATUS_SUBMITTED:
        return 0;
    default:
        return fail("connect", ipmiconsole_ctx_errormsg(console->context));
    }
}

static int connect_all(long count)
{
    double started = now();

    consoles = calloc(count, sizeof *consoles);
    for (int at = 0; at < count; at++) {
        if (create(&consoles[at], at) < 0)
            return -1;
        console_count = at + 1;
        if (ipmiconsole_engine_submit(consoles[at].context, NULL, NULL) < 0)
            return fail("submit", ipmiconsole_ctx_errormsg(consoles[at].context));
    }
    for (int at = 0; at < count; at++) {
        int up;

        while ((up = is_up(&consoles[at])) == 0) {
            if (now() - started > STEP_SECONDS)
                return fail("connect", "timed out");
            usleep(200);
        }
        if (up < 0 || take_fd(&consoles[at]) < 0)
            return -1;
    }
    printf("{\"connected\":%ld,\"seconds\":%.6f}\n", count, now() - started);
    return 0;
}

static long field(const char *file, const char *name)
{
    char line[256];
    long value = 0;
    FILE *stream = fopen(file, "r");

    while (stream && fgets(line, sizeof line, stream))
        if (!strncmp(line, name, strlen(name)))
            value = atol(line + strlen(name));
    if (stream)
        fclose(stream);
    return value;
}

static int cost(void)
{
    int fds = 0;
    DIR *directory = opendir("/proc/self/fd");

    while (directory && readdir(directory))
        fds++;
    if (directory)
        closedir(directory);
    /* Not ".", ".." and the directory itself. */
    printf("{\"rss_kib\":%ld,\"pss_kib\":%ld,\"fds\":%d,\"threads\":%ld,\"cpu\":%.6f}\n",
           field("/proc/self/status", "VmRSS:"), field("/proc/self/smaps_rollup", "Pss:"), fds - 3,
           field("/proc/self/status", "Threads:"), cpu());
    return 0;
}

static int read_some(struct console *console, char *buffer, size_t len)
{
    ssize_t got = read(console->fd, buffer, len);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0)
        return fail("console lost", ipmiconsole_ctx_errormsg(console->context));
    return got;
}

static int write_whole(struct console *console, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = write(console->fd, bytes, len);

        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return fail("write", NULL);
        if (put < 0) {
            struct pollfd poll_fd = { console->fd, POLLOUT, 0 };
            poll(&poll_fd, 1, 100);
            continue;
        }
        bytes += put;
        len -= put;
    }
    return 0;
}

static int echo(long times)
{
    double *us = calloc(times + 1, sizeof *us);
    char buffer[64];

    for (long number = 0; number < times; number++) {
        struct pollfd poll_fd = { consoles[0].fd, POLLIN, 0 };
        double started = now();

        if (write_whole(&consoles[0], "x", 1) < 0)
            return -1;
        poll(&poll_fd, 1, STEP_SECONDS * 1000);
        int got = read_some(&consoles[0], buffer, sizeof buffer);
        if (got < 0)
            return -1;
        if (got != 1 || buffer[0] != 'x')
            return fail("echo", "not what was sent");
        us[number] = (now() - started) * 1e6;
    }
    answer_list("us", us, times);
    free(us);
    return 0;
}

static int expect(struct console *console, long left, const char *text)
{
    console->left = left;
    console->expected = text;
    console->matched = 0;
    return 0;
}

static int ask_block(struct console *console)
{
    char command[32];
    long len = console->to_send < BLOCK_LEN ? console->to_send : BLOCK_LEN;

    expect(console, 0, "<ready>");
    snprintf(command, sizeof command, "!take %ld\r", len);
    return write_whole(console, command, strlen(command));
}

/* What was waited for is there. */
static int on_expected(struct console *console)
{
    static char block[BLOCK_LEN];
    int was_ready = !strcmp(console->expected, "<ready>");
    long len = console->to_send < BLOCK_LEN ? console->to_send : BLOCK_LEN;

    console->expected = NULL;
    if (was_ready) {
        for (int at = 0; at < BLOCK_LEN; at++)
            block[at] = 'a' + at % 26;
        console->to_send -= len;
        expect(console, 0, "<done>");
        return write_whole(console, block, len);
    }
    return console->to_send > 0 ? ask_block(console) : 0;
}

static int on_bytes(struct console *console, const char *bytes, long len)
{
    long skipped = len < console->left ? len : console->left;

    console->left -= skipped;
    for (long at = skipped; at < len; at++) {
        if (!console->expected || bytes[at] != console->expected[console->matched])
            return fail("console", "unexpected bytes");
        if (console->expected[++console->matched] == 0 && on_expected(console) < 0)
            return -1;
    }
    return 0;
}

static int run_all(double started)
{
    static char buffer[65536];
    struct pollfd *fds = calloc(console_count, sizeof *fds);
    int unfinished = console_count;

    while (unfinished > 0) {
        unfinished = 0;
        for (int at = 0; at < console_count; at++) {
            fds[at].fd = consoles[at].expected ? consoles[at].fd : -1;
            fds[at].events = POLLIN;
            fds[at].revents = 0;
            unfinished += consoles[at].expected != NULL;
        }
        if (now() - started > STEP_SECONDS)
            return fail("consoles", "not finished in time");
        if (unfinished == 0)
            break;
        poll(fds, console_count, 1000);
        for (int at = 0; at < console_count; at++) {
            int got = fds[at].revents ? read_some(&consoles[at], buffer, sizeof buffer) : 0;

            if (got < 0 || on_bytes(&consoles[at], buffer, got) < 0)
                return -1;
        }
    }
    free(fds);
    printf("{\"seconds\":%.6f}\n", now() - started);
    return 0;
}

static int down(long bytes)
{
    double started = now();
    char command[32];

    snprintf(command, sizeof command, "!print %ld\r", bytes);
    for (int at = 0; at < console_count; at++) {
        expect(&consoles[at], bytes, "<done>");
        if (write_whole(&consoles[at], command, strlen(command)) < 0)
            return -1;
    }
    return run_all(started);
}

static int up(long bytes)
{
    double started = now();

    for (int at = 0; at < console_count; at++) {
        consoles[at].to_send = bytes;
        if (ask_block(&consoles[at]) < 0)
            return -1;
    }
    return run_all(started);
}

static int answer(char *line)
{
    char *space = strchr(line, ' ');
    long count = space ? atol(space + 1) : 0;

    failure[0] = 0;
    if (space)
        *space = 0;
    if (!strcmp(line, "latency"))
        return latency(count);
    if (!strcmp(line, "connect"))
        return connect_all(count);
    if (!strcmp(line, "cost"))
        return cost();
    if (console_count == 0)
        return fail(line, "nothing is connected");
    if (!strcmp(line, "echo"))
        return echo(count);
    if (!strcmp(line, "down"))
        return down(count);
    if (!strcmp(line, "up"))
        return up(count);
    return fail(line, "unknown line");
}

int main(int argc, char **argv)
{
    char line[256];
    struct rlimit limit;

    if (argc != 5 || inet_pton(AF_INET, argv[1], &first) != 1)
        return 2;
    port = atoi(argv[2]);
    user = argv[3];
    password = argv[4];
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (ipmiconsole_engine_init(ENGINE_THREADS, 0) < 0) {
        printf("{\"error\":\"ipmiconsole_engine_init failed\"}\n");
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 1 << 20);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (answer(line) < 0)
            printf("{\"error\":\"%s\"}\n", failure);
        fflush(stdout);
    }
    for (int at = 0; at < console_count; at++)
        destroy(&consoles[at]);
    ipmiconsole_engine_teardown(1);
    return 0;
}
