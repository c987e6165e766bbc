/*
 * A thousand consoles, one thread, one file descriptor: all of them are connected at once, and
 * poll() sleeps until one of them has something.
 *
 *     many [-n count] [-t seconds] [-U user] [-P password] [host...]
 *
 * Every line that a console prints is printed behind its name, until -t is over. Without hosts,
 * starts `count` (1000) simulated BMCs whose consoles send back what they get, says hello to each,
 * and ends when all have answered.
 */
#define _DEFAULT_SOURCE
#include <bmclink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct node {
    char name[BMCLINK_ADDRESS_MAX];
    uint16_t port;
    bmclink_console *console;
    int state;
    char line[256]; /* What has come of the line that it prints. */
    size_t len;
};

static int is_demo;
static size_t connected, answered;

static int complain(const char *what)
{
    fprintf(stderr, "many: %s: %s\nmany: %s\n", what, bmclink_last_error(),
            bmclink_last_error_advice());
    return EXIT_FAILURE;
}

/* Opens a console, has the queue watch it, and begins to connect: none of that waits. */
static int begin(struct node *node, uint64_t key, bmclink_engine *engine,
                 bmclink_credentials *login, bmclink_event_queue *queue)
{
    bmclink_bmc_options *options = NULL;
    bmclink_bmc *bmc = NULL;
    int failed = bmclink_bmc_options_new(node->name, login, &options) < 0
        || bmclink_bmc_options_set_port(options, node->port) < 0
        || bmclink_bmc_open(engine, options, &bmc) < 0
        || bmclink_console_open(bmc, NULL, &node->console) < 0
        || bmclink_event_queue_add_console(queue, node->console, key) < 0
        || bmclink_console_begin_connect(node->console) < 0;
    if (failed)
        complain(node->name);
    /* The console keeps its BMC. */
    bmclink_bmc_free(bmc);
    bmclink_bmc_options_free(options);
    return failed ? -1 : 0;
}

/* Its state is another one: says so, and says hello. */
static void on_state(struct node *node)
{
    int state = bmclink_console_state(node->console);
    if (state == node->state)
        return;
    if (state == BMCLINK_STATE_CONNECTED) {
        connected++;
        if (is_demo && bmclink_console_write(node->console, "hello\n", 6, 0) != 6)
            complain(node->name);
    } else if (node->state == BMCLINK_STATE_CONNECTED) {
        connected--;
    }
    if (state == BMCLINK_STATE_UNCONNECTED && bmclink_console_reason(node->console) < 0)
        complain(node->name);
    node->state = state;
}

/* There is something to read: one read for each report is enough, the queue reports the rest. */
static void on_readable(struct node *node)
{
    char buffer[4096];
    int64_t len = bmclink_console_read(node->console, buffer, sizeof buffer, 0);
    for (int64_t i = 0; i < len; i++) {
        if (buffer[i] != '\n' && node->len + 1 < sizeof node->line) {
            if (buffer[i] != '\r')
                node->line[node->len++] = buffer[i];
            continue;
        }
        node->line[node->len] = '\0';
        node->len = 0;
        if (is_demo)
            answered += strcmp(node->line, "hello") == 0;
        else
            printf("%s: %s\n", node->name, node->line);
    }
}

/* Sleeps until consoles have something, and sees to these; gives how many there were. */
static int64_t turn(bmclink_event_queue *queue, struct node *nodes, int timeout_ms)
{
    uint64_t keys[64];
    int32_t events[64];
    struct pollfd place = {bmclink_event_queue_fd(queue), POLLIN, 0};
    if (poll(&place, 1, timeout_ms) <= 0)
        return 0;
    int64_t count = bmclink_event_queue_wait(queue, keys, events, 64, 0);
    for (int64_t i = 0; i < count; i++) {
        if (events[i] & BMCLINK_READY_STATE)
            on_state(&nodes[keys[i]]);
        if (events[i] & BMCLINK_READY_READABLE)
            on_readable(&nodes[keys[i]]);
    }
    /* The descriptor may be readable for a moment longer than there is something. */
    return count == BMCLINK_ERR_TIMED_OUT ? 0 : count;
}

/* Until the time is over or, in the demonstration, all have answered. */
static int serve(bmclink_event_queue *queue, struct node *nodes, size_t count, long seconds)
{
    time_t end = time(NULL) + seconds;
    while (time(NULL) < end && !(is_demo && answered == count)) {
        if (turn(queue, nodes, 100) < 0)
            return complain("event queue");
        fflush(stdout);
    }
    printf("many: %zu consoles, %zu connected", count, connected);
    printf(is_demo ? ", %zu answered\n" : "\n", answered);
    return connected == count && (!is_demo || answered == count) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *user = "admin", *secret = "password";
    long seconds = 60;
    size_t count = 1000;
    int option, status = EXIT_FAILURE;
    while ((option = getopt(argc, argv, "n:t:U:P:")) != -1) {
        switch (option) {
        case 'n': count = (size_t)atol(optarg); break;
        case 't': seconds = atol(optarg); break;
        case 'U': user = optarg; break;
        case 'P': secret = optarg; break;
        default: return EXIT_FAILURE;
        }
    }
    bmclink_sim *sim = NULL;
    bmclink_engine *engine = NULL;
    bmclink_credentials *login = NULL;
    bmclink_event_queue *queue = NULL;
    is_demo = optind == argc;
    if (is_demo && bmclink_sim_start("spec", "echo", (uint32_t)count, &sim) < 0)
        return complain("simulated BMCs");
    if (!is_demo)
        count = (size_t)(argc - optind);
    struct node *nodes = calloc(count, sizeof *nodes);
    if (nodes == NULL || bmclink_engine_new(NULL, &engine) < 0
        || bmclink_credentials_new(user, strlen(user), secret, strlen(secret), NULL, 0, &login) < 0
        || bmclink_event_queue_new(&queue) < 0)
        return complain("engine");
    size_t begun = 0;
    while (begun < count) {
        struct node *node = &nodes[begun];
        node->port = 623;
        if (!is_demo)
            snprintf(node->name, sizeof node->name, "%s", argv[(size_t)optind + begun]);
        else if (bmclink_sim_address(sim, (uint32_t)begun, node->name, sizeof node->name,
                                     &node->port) < 0)
            break;
        if (begin(node, begun, engine, login, queue) < 0)
            break;
        begun++;
    }
    if (begun == count)
        status = serve(queue, nodes, count, seconds);
    for (size_t i = 0; i < count; i++)
        bmclink_console_free(nodes[i].console);
    free(nodes);
    bmclink_event_queue_free(queue);
    bmclink_credentials_free(login);
    bmclink_engine_free(engine);
    bmclink_sim_free(sim);
    return status;
}
