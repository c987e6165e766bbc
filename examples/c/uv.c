/*
 * Consoles in an event loop, that of libuv: what is typed here is typed at all of them, and what
 * they print is printed behind their names. One thread, one file descriptor for all consoles.
 *
 *     uv [-U user] [-P password] [host...]
 *
 * Without hosts, three simulated BMCs, whose consoles are shells ("help" says what they know).
 * When standard input ends, it ends half a second after the last console said something.
 */
#define _DEFAULT_SOURCE
#include <bmclink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { CONSOLES_MAX = 1000, DEMO = 3, SILENCE_MS = 500 };

struct node {
    char name[BMCLINK_ADDRESS_MAX];
    uint16_t port;
    bmclink_console *console;
    int is_connected;
};

static struct node nodes[CONSOLES_MAX];
static size_t count, unconnected;
static bmclink_event_queue *queue;
static uv_poll_t watch, input;
static uv_timer_t silence;
static int status = EXIT_FAILURE;

static void complain(const char *what)
{
    fprintf(stderr, "uv: %s: %s\nuv: %s\n", what, bmclink_last_error(),
            bmclink_last_error_advice());
}

/* Standard input is over and nothing more is said: that is the end. */
static void on_silence(uv_timer_t *timer)
{
    status = unconnected == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    uv_stop(timer->loop);
}

/* Standard input has something: for every console. */
static void on_input(uv_poll_t *handle, int failed, int events)
{
    char buffer[1024];
    (void)events;
    ssize_t len = failed ? 0 : read(STDIN_FILENO, buffer, sizeof buffer);
    for (size_t i = 0; len > 0 && i < count; i++)
        if (bmclink_console_write(nodes[i].console, buffer, (size_t)len, 0) < len)
            complain(nodes[i].name);
    if (len > 0)
        return;
    uv_poll_stop(handle);
    uv_timer_start(&silence, on_silence, SILENCE_MS, 0);
}

/* A console printed something. */
static void on_text(const struct node *node)
{
    char buffer[4096];
    int64_t len = bmclink_console_read(node->console, buffer, sizeof buffer, 0);
    if (len > 0)
        printf("[%s] %.*s\n", node->name, (int)len, buffer);
    fflush(stdout);
    if (uv_is_active((uv_handle_t *)&silence))
        uv_timer_start(&silence, on_silence, SILENCE_MS, 0);
}

/* A console is connected, or is not. Input is looked at when all are. */
static void on_state(struct node *node)
{
    switch (bmclink_console_state(node->console)) {
    case BMCLINK_STATE_CONNECTED:
        if (!node->is_connected && --unconnected == 0)
            uv_poll_start(&input, UV_READABLE, on_input);
        node->is_connected = 1;
        break;
    case BMCLINK_STATE_UNCONNECTED:
        if (bmclink_console_reason(node->console) < 0)
            complain(node->name);
        uv_stop(watch.loop);
        break;
    default: break;
    }
}

/* The queue's descriptor is readable: some consoles have something. */
static void on_queue(uv_poll_t *handle, int failed, int events)
{
    uint64_t keys[64];
    int32_t what[64];
    (void)handle, (void)failed, (void)events;
    int64_t ready = bmclink_event_queue_wait(queue, keys, what, 64, 0);
    for (int64_t i = 0; i < ready; i++) {
        if (what[i] & BMCLINK_READY_STATE)
            on_state(&nodes[keys[i]]);
        if (what[i] & BMCLINK_READY_READABLE)
            on_text(&nodes[keys[i]]);
    }
}

static int begin(struct node *node, uint64_t key, bmclink_engine *engine,
                 bmclink_credentials *login)
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
    bmclink_bmc_free(bmc);
    bmclink_bmc_options_free(options);
    return failed ? -1 : 0;
}

/* Runs the loop until input and output are over. */
static void serve(uv_loop_t *loop)
{
    unconnected = count;
    uv_timer_init(loop, &silence);
    if (uv_poll_init(loop, &watch, bmclink_event_queue_fd(queue)) != 0
        || uv_poll_init(loop, &input, STDIN_FILENO) != 0) {
        fprintf(stderr, "uv: standard input must be a terminal or a pipe\n");
        return;
    }
    uv_poll_start(&watch, UV_READABLE, on_queue);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&watch, NULL);
    uv_close((uv_handle_t *)&input, NULL);
    uv_close((uv_handle_t *)&silence, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
}

int main(int argc, char **argv)
{
    const char *user = "admin", *secret = "password";
    bmclink_sim *sim = NULL;
    bmclink_engine *engine = NULL;
    bmclink_credentials *login = NULL;
    int option;
    while ((option = getopt(argc, argv, "U:P:")) != -1) {
        switch (option) {
        case 'U': user = optarg; break;
        case 'P': secret = optarg; break;
        default: return EXIT_FAILURE;
        }
    }
    if (optind == argc && bmclink_sim_start("spec", "shell", DEMO, &sim) < 0)
        return complain("simulated BMCs"), EXIT_FAILURE;
    for (count = 0; sim && count < DEMO; count++)
        if (bmclink_sim_address(sim, (uint32_t)count, nodes[count].name, sizeof nodes[count].name,
                                &nodes[count].port) < 0)
            return complain("simulated BMCs"), EXIT_FAILURE;
    for (; optind < argc && count < CONSOLES_MAX; count++, optind++) {
        snprintf(nodes[count].name, sizeof nodes[count].name, "%s", argv[optind]);
        nodes[count].port = 623;
    }
    if (bmclink_engine_new(NULL, &engine) < 0
        || bmclink_credentials_new(user, strlen(user), secret, strlen(secret), NULL, 0, &login) < 0
        || bmclink_event_queue_new(&queue) < 0) {
        complain("engine");
    } else {
        size_t begun = 0;
        while (begun < count && begin(&nodes[begun], begun, engine, login) == 0)
            begun++;
        if (begun == count)
            serve(uv_default_loop());
    }
    for (size_t i = 0; i < count; i++)
        bmclink_console_free(nodes[i].console);
    bmclink_event_queue_free(queue);
    bmclink_credentials_free(login);
    bmclink_engine_free(engine);
    bmclink_sim_free(sim);
    return status;
}
