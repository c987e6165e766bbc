/*
 * Consoles that are not SOL: commands, and functions of one's own; and all that can go wrong with
 * them. Ends with status 0 when everything is as the header says; run under sanitizers.
 */
#define _DEFAULT_SOURCE
#include "check.h"
#include <pthread.h>
#include <string.h>

/* Reads until there are `len` bytes, which are to be `want`. */
static void reads(bmclink_console *console, const char *want)
{
    char bytes[256];
    size_t len = 0;
    while (len < strlen(want)) {
        int64_t n = bmclink_console_read(console, bytes + len, sizeof bytes - len, PATIENCE);
        TRUE(n > 0);
        len += (size_t)n;
    }
    TRUE(len == strlen(want) && memcmp(bytes, want, len) == 0);
}

static void commands(bmclink_engine *engine)
{
    bmclink_exec_options *options;
    bmclink_credentials *credentials;
    bmclink_console *console;
    MISUSE(bmclink_exec_options_new(NULL, &options));
    MISUSE(bmclink_exec_options_new("cat", NULL));
    OK(bmclink_exec_options_new("/bin/sh", &options));
    OK(bmclink_exec_options_add_argument(options, "-c"));
    OK(bmclink_exec_options_add_argument(options, "stty size; echo $A $NAME $SECRET; pwd; cat"));
    OK(bmclink_exec_options_add_variable(options, "A", "an"));
    OK(bmclink_exec_options_set_directory(options, "/"));
    OK(bmclink_exec_options_set_window(options, 100, 30));
    OK(bmclink_exec_options_set_signature(options, "/\n", 2, PATIENCE));
    OK(bmclink_exec_options_set_cooked(options, 0));
    OK(bmclink_credentials_new("admin", 5, "secret", 6, NULL, 0, &credentials));
    OK(bmclink_exec_options_set_credentials(options, credentials, NULL, NULL, -1));
    MISUSE(bmclink_exec_open(engine, options, NULL, &console));
    OK(bmclink_exec_options_set_credentials(options, credentials, "NAME", "SECRET", -1));
    MISUSE(bmclink_exec_open(NULL, options, NULL, &console));
    MISUSE(bmclink_exec_open(engine, options, NULL, NULL));
    OK(bmclink_exec_open(engine, options, NULL, &console));
    OK(bmclink_console_connect(console, PATIENCE));
    reads(console, "30 100\nan admin secret\n/\n");
    IS(5, bmclink_console_write(console, "hello", 5, PATIENCE));
    reads(console, "hello");
    IS(BMCLINK_ERR_INCOMPATIBLE, bmclink_console_send_break(console, PATIENCE));
    OK(bmclink_credentials_update(credentials, "admin", 5, "another", 7, NULL, 0));
    reads(console, "30 100\nan admin another\n/\n");
    MISUSE(bmclink_console_resize(console, 0, 1));
    OK(bmclink_console_resize(console, 90, 20));
    OK(bmclink_console_reconfigure_exec(console, options));
    OK(bmclink_exec_options_add_variable(options, "A", "another"));
    OK(bmclink_console_reconfigure_exec(console, options));
    reads(console, "20 90\nanother admin another\n/\n");
    OK(bmclink_console_close(console, PATIENCE));
    IS(BMCLINK_ERR_CLOSED, bmclink_console_resize(console, 80, 24));
    OK(bmclink_console_free(console));
    OK(bmclink_exec_options_free(options));
    OK(bmclink_credentials_free(credentials));

    OK(bmclink_exec_options_new("/bin/sh", &options));
    OK(bmclink_exec_options_add_argument(options, "-c"));
    OK(bmclink_exec_options_add_argument(options, "exit 3"));
    OK(bmclink_exec_open(engine, options, NULL, &console));
    OK(bmclink_console_connect(console, PATIENCE));
    while (bmclink_console_state(console) == BMCLINK_STATE_CONNECTED)
        bmclink_console_wait_state(console, BMCLINK_STATE_CONNECTED, PATIENCE);
    IS(BMCLINK_ERR_LOST, bmclink_console_reason(console));
    TRUE(strstr(bmclink_last_error(), "exited with status 3") != NULL);
    OK(bmclink_console_free(console));
    OK(bmclink_exec_options_free(options));
}

/* An echo, and what was asked of it. */
struct echo {
    pthread_mutex_t lock;
    pthread_cond_t released_it;
    bmclink_sink *sink;
    int starts, stops, breaks, released;
    int columns, rows;
    int32_t refuses;
};

static int32_t echo_start(bmclink_sink *sink, void *user)
{
    struct echo *echo = user;
    pthread_mutex_lock(&echo->lock);
    echo->starts++;
    echo->sink = sink;
    pthread_mutex_unlock(&echo->lock);
    return echo->refuses ? echo->refuses : bmclink_sink_connected(sink);
}

static int64_t echo_write(const void *bytes, size_t len, void *user)
{
    struct echo *echo = user;
    if (len == 4 && memcmp(bytes, "fail", 4) == 0)
        return BMCLINK_ERR_IO;
    OK(bmclink_sink_bytes(echo->sink, bytes, len));
    return (int64_t)len;
}

static int32_t echo_break(void *user)
{
    ((struct echo *)user)->breaks++;
    return 0;
}

static void echo_resize(uint16_t columns, uint16_t rows, void *user)
{
    ((struct echo *)user)->columns = columns;
    ((struct echo *)user)->rows = rows;
}

static void echo_stop(void *user)
{
    ((struct echo *)user)->stops++;
}

static void echo_release(void *user)
{
    struct echo *echo = user;
    pthread_mutex_lock(&echo->lock);
    echo->released++;
    pthread_cond_signal(&echo->released_it);
    pthread_mutex_unlock(&echo->lock);
}

static void functions(bmclink_engine *engine)
{
    struct echo echo;
    bmclink_backend_options *options;
    bmclink_console *console;
    bmclink_sink *old;
    memset(&echo, 0, sizeof echo);
    pthread_mutex_init(&echo.lock, NULL);
    pthread_cond_init(&echo.released_it, NULL);
    OK(bmclink_backend_options_new(&echo, &options));
    OK(bmclink_backend_options_set_release(options, echo_release));
    MISUSE(bmclink_backend_open(engine, options, NULL, &console));
    OK(bmclink_backend_options_set_start(options, echo_start));
    OK(bmclink_backend_options_set_write(options, echo_write));
    OK(bmclink_backend_options_set_stop(options, echo_stop));
    MISUSE(bmclink_backend_open(NULL, options, NULL, &console));
    TRUE(echo.released == 0);
    OK(bmclink_backend_options_set_send_break(options, echo_break));
    OK(bmclink_backend_options_set_resize(options, echo_resize));
    OK(bmclink_backend_open(engine, options, NULL, &console));
    OK(bmclink_backend_options_free(options));

    echo.refuses = BMCLINK_ERR_PASSWORD;
    IS(BMCLINK_ERR_PASSWORD, bmclink_console_connect(console, PATIENCE));
    echo.refuses = 0;
    OK(bmclink_console_resize(console, 90, 20));
    OK(bmclink_console_connect(console, PATIENCE));
    TRUE(echo.starts == 2 && echo.stops == 1 && echo.columns == 90 && echo.rows == 20);
    IS(5, bmclink_console_write(console, "hello", 5, PATIENCE));
    reads(console, "hello");
    OK(bmclink_console_send_break(console, PATIENCE));
    TRUE(echo.breaks == 1);

    MISUSE(bmclink_sink_bytes(echo.sink, NULL, 1));
    OK(bmclink_sink_bytes(echo.sink, NULL, 0));
    OK(bmclink_sink_writable(echo.sink));
    MISUSE(bmclink_sink_ended(echo.sink, 17, "no such code"));
    OK(bmclink_sink_ended(echo.sink, BMCLINK_ERR_LOST, "the far end is gone"));
    IS(BMCLINK_ERR_LOST, bmclink_console_reason(console));
    TRUE(strcmp(bmclink_last_error(), "the far end is gone") == 0);
    old = echo.sink;
    OK(bmclink_console_connect(console, PATIENCE));
    MISUSE(bmclink_sink_bytes(old, "old", 3));
    MISUSE(bmclink_sink_connected(NULL));

    IS(4, bmclink_console_write(console, "fail", 4, PATIENCE));
    while (bmclink_console_state(console) == BMCLINK_STATE_CONNECTED)
        bmclink_console_wait_state(console, BMCLINK_STATE_CONNECTED, PATIENCE);
    IS(BMCLINK_ERR_IO, bmclink_console_reason(console));

    OK(bmclink_console_connect(console, PATIENCE));
    OK(bmclink_console_free(console));
    pthread_mutex_lock(&echo.lock);
    while (echo.released == 0)
        pthread_cond_wait(&echo.released_it, &echo.lock);
    pthread_mutex_unlock(&echo.lock);
    TRUE(echo.starts == 4 && echo.stops == 4 && echo.released == 1);
    pthread_cond_destroy(&echo.released_it);
    pthread_mutex_destroy(&echo.lock);
}

int main(void)
{
    bmclink_engine *engine;
    OK(bmclink_engine_new(NULL, &engine));
    commands(engine);
    functions(engine);
    OK(bmclink_engine_free(engine));
    printf("all as the header says\n");
    return EXIT_SUCCESS;
}
