/*
 * Everything a C program should not do, and what it may do from many threads at once. Ends with
 * status 0 when each thing was refused, or worked, as the header says; run under sanitizers.
 */
#define _DEFAULT_SOURCE
#include "check.h"
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* What no call may write to. */
#define UNTOUCHED(type) ((type *)(uintptr_t)0x5a5a5a5a5a5a5a58u)

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One simulated BMC and all it takes to use it. */
struct setup {
    bmclink_sim *sim;
    bmclink_engine *engine;
    bmclink_credentials *credentials;
    bmclink_bmc_options *options;
    bmclink_bmc *bmc;
    bmclink_console *console;
};

static void set_up(struct setup *s, const char *serial)
{
    char address[BMCLINK_ADDRESS_MAX];
    uint16_t port;
    OK(bmclink_sim_start("spec", serial, 1, &s->sim));
    OK(bmclink_sim_address(s->sim, 0, address, sizeof address, &port));
    OK(bmclink_engine_new(NULL, &s->engine));
    OK(bmclink_credentials_new("admin", 5, "password", 8, NULL, 0, &s->credentials));
    OK(bmclink_bmc_options_new(address, s->credentials, &s->options));
    OK(bmclink_bmc_options_set_port(s->options, port));
    OK(bmclink_bmc_open(s->engine, s->options, &s->bmc));
    OK(bmclink_console_open(s->bmc, NULL, &s->console));
}

static void tear_down(struct setup *s)
{
    OK(bmclink_console_free(s->console));
    OK(bmclink_bmc_free(s->bmc));
    OK(bmclink_bmc_options_free(s->options));
    OK(bmclink_credentials_free(s->credentials));
    OK(bmclink_engine_free(s->engine));
    OK(bmclink_sim_free(s->sim));
}

static void null_everywhere(void)
{
    char text[BMCLINK_ADDRESS_MAX];
    uint8_t byte;
    uint16_t port;
    uint64_t value;
    size_t len;

    MISUSE(bmclink_has_feature(NULL));
    MISUSE(bmclink_set_log(BMCLINK_LOG_INFO, NULL, NULL));
    MISUSE(bmclink_engine_options_new(NULL));
    MISUSE(bmclink_engine_options_set_shards(NULL, 1));
    MISUSE(bmclink_engine_options_set_bmcs_per_socket(NULL, 1));
    MISUSE(bmclink_engine_options_set_inbox_len(NULL, 1));
    MISUSE(bmclink_engine_options_set_receive_buffer_len(NULL, 1));
    MISUSE(bmclink_engine_options_set_local_address(NULL, NULL));
    MISUSE(bmclink_engine_options_set_resolvers(NULL, 1));
    MISUSE(bmclink_engine_new(NULL, NULL));
    MISUSE(bmclink_credentials_new("a", 1, "b", 1, NULL, 0, NULL));
    MISUSE(bmclink_credentials_update(NULL, "a", 1, "b", 1, NULL, 0));
    MISUSE(bmclink_bmc_options_new(NULL, NULL, NULL));
    MISUSE(bmclink_bmc_options_set_host(NULL, "a"));
    MISUSE(bmclink_bmc_options_set_port(NULL, 1));
    MISUSE(bmclink_bmc_options_set_credentials(NULL, NULL));
    MISUSE(bmclink_bmc_options_set_allow_null_user(NULL, 1));
    MISUSE(bmclink_bmc_options_set_cipher_suites(NULL, NULL, 0));
    MISUSE(bmclink_bmc_options_set_privilege_level(NULL, 4));
    MISUSE(bmclink_bmc_options_set_user_lookup(NULL, 0));
    MISUSE(bmclink_bmc_options_set_ipmi_version(NULL, 0));
    MISUSE(bmclink_bmc_options_set_auth_types(NULL, NULL, 0));
    MISUSE(bmclink_bmc_options_add_quirk(NULL, "intel20"));
    MISUSE(bmclink_bmc_options_set_request_window(NULL, 1));
    MISUSE(bmclink_bmc_options_set_login_attempts(NULL, 1));
    MISUSE(bmclink_bmc_options_set_request_transmissions(NULL, 1));
    MISUSE(bmclink_bmc_options_set_timing_ms(NULL, BMCLINK_TIMING_CLOSE, 1000));
    MISUSE(bmclink_bmc_open(NULL, NULL, NULL));
    MISUSE(bmclink_bmc_connect(NULL, 0));
    MISUSE(bmclink_bmc_raw(NULL, 6, 0, 1, NULL, 0, 0, &byte, NULL, 0, &len));
    MISUSE(bmclink_bmc_is_connected(NULL));
    MISUSE(bmclink_bmc_cipher_suite(NULL));
    MISUSE(bmclink_bmc_privilege_level(NULL));
    MISUSE(bmclink_bmc_logins(NULL));
    MISUSE(bmclink_bmc_address(NULL, text, sizeof text, &port));
    MISUSE(bmclink_bmc_reason(NULL));
    MISUSE(bmclink_console_options_new(NULL));
    MISUSE(bmclink_console_options_set_instance(NULL, 1));
    MISUSE(bmclink_console_options_set_take_over(NULL, 1));
    MISUSE(bmclink_console_options_set_allow_clear(NULL, 1));
    MISUSE(bmclink_console_options_set_replay_len(NULL, 4096));
    MISUSE(bmclink_console_options_set_input_len(NULL, 4096));
    MISUSE(bmclink_console_options_set_accumulate_ms(NULL, 0));
    MISUSE(bmclink_console_options_set_retransmit_ms(NULL, 500, 50, 1000));
    MISUSE(bmclink_console_options_set_keepalive_ms(NULL, 0));
    MISUSE(bmclink_console_open(NULL, NULL, NULL));
    MISUSE(bmclink_console_connect(NULL, 0));
    MISUSE(bmclink_console_read(NULL, text, sizeof text, 0));
    MISUSE(bmclink_console_write(NULL, text, sizeof text, 0));
    MISUSE(bmclink_console_drain(NULL, 0));
    MISUSE(bmclink_console_send_break(NULL, 0));
    MISUSE(bmclink_console_state(NULL));
    MISUSE(bmclink_console_wait_state(NULL, 0, 0));
    MISUSE(bmclink_console_reason(NULL));
    MISUSE(bmclink_console_counter(NULL, BMCLINK_COUNTER_EPOCH, &value));
    MISUSE(bmclink_console_close(NULL, 0));
    MISUSE(bmclink_reader_open(NULL, 0, NULL));
    MISUSE(bmclink_reader_read(NULL, text, sizeof text, 0));
    MISUSE(bmclink_reader_lost(NULL));
    MISUSE(bmclink_sim_start(NULL, NULL, 1, NULL));
    MISUSE(bmclink_sim_address(NULL, 0, text, sizeof text, &port));

    OK(bmclink_engine_options_free(NULL));
    OK(bmclink_engine_free(NULL));
    OK(bmclink_credentials_free(NULL));
    OK(bmclink_bmc_options_free(NULL));
    OK(bmclink_bmc_free(NULL));
    OK(bmclink_console_options_free(NULL));
    OK(bmclink_console_free(NULL));
    OK(bmclink_reader_free(NULL));
    OK(bmclink_sim_free(NULL));
}

/* Options out of range, lengths out of range, and outputs that stay as they were. */
static void bad_values(void)
{
    static const uint8_t rc4 = 4, no_auth_type = 9;
    static const char long_text[] = "0123456789abcdefghijklmnop";
    struct setup s;
    set_up(&s, "echo");

    bmclink_engine_options *engine_options;
    bmclink_engine *engine = UNTOUCHED(bmclink_engine);
    OK(bmclink_engine_options_new(&engine_options));
    MISUSE(bmclink_engine_options_set_local_address(engine_options, "localhost"));
    MISUSE(bmclink_engine_options_set_local_address(engine_options, "\xff\xfe"));
    OK(bmclink_engine_options_set_local_address(engine_options, "127.0.0.1"));
    OK(bmclink_engine_options_set_local_address(engine_options, NULL));
    OK(bmclink_engine_options_set_shards(engine_options, 65));
    MISUSE(bmclink_engine_new(engine_options, &engine));
    OK(bmclink_engine_options_set_shards(engine_options, 0));
    MISUSE(bmclink_engine_new(engine_options, &engine));
    TRUE(engine == UNTOUCHED(bmclink_engine));
    OK(bmclink_engine_options_set_shards(engine_options, 1));
    OK(bmclink_engine_new(engine_options, &engine));
    OK(bmclink_engine_free(engine));
    OK(bmclink_engine_options_free(engine_options));

    bmclink_credentials *credentials = UNTOUCHED(bmclink_credentials);
    MISUSE(bmclink_credentials_new(long_text, 17, "", 0, NULL, 0, &credentials));
    MISUSE(bmclink_credentials_new("a", 1, long_text, 21, NULL, 0, &credentials));
    MISUSE(bmclink_credentials_new("a", 1, "b", 1, long_text, 21, &credentials));
    MISUSE(bmclink_credentials_new(NULL, 1, "b", 1, NULL, 0, &credentials));
    MISUSE(bmclink_credentials_new("a", (size_t)-1, "b", 1, NULL, 0, &credentials));
    MISUSE(bmclink_credentials_update(s.credentials, "a", 1, long_text, 21, NULL, 0));
    TRUE(credentials == UNTOUCHED(bmclink_credentials));

    bmclink_bmc *bmc = UNTOUCHED(bmclink_bmc);
    MISUSE(bmclink_bmc_options_set_privilege_level(s.options, 6));
    MISUSE(bmclink_bmc_options_set_privilege_level(s.options, -1));
    MISUSE(bmclink_bmc_options_set_privilege_level(s.options, 256 + 4));
    MISUSE(bmclink_bmc_options_set_user_lookup(s.options, 2));
    MISUSE(bmclink_bmc_options_set_ipmi_version(s.options, 3));
    MISUSE(bmclink_bmc_options_set_auth_types(s.options, &no_auth_type, 1));
    MISUSE(bmclink_bmc_options_add_quirk(s.options, "nosuch"));
    TRUE(strstr(bmclink_last_error(), "intel20") != NULL);
    MISUSE(bmclink_bmc_options_set_timing_ms(s.options, 0, 1000));
    OK(bmclink_bmc_options_set_timing_ms(s.options, BMCLINK_TIMING_HANDSHAKE_FIRST, 0));
    MISUSE(bmclink_bmc_open(s.engine, s.options, &bmc));
    OK(bmclink_bmc_options_set_timing_ms(s.options, BMCLINK_TIMING_HANDSHAKE_FIRST, 500));
    OK(bmclink_bmc_options_set_cipher_suites(s.options, &rc4, 1));
    MISUSE(bmclink_bmc_open(s.engine, s.options, &bmc));
    TRUE(strstr(bmclink_last_error(), "xRC4") != NULL);
    OK(bmclink_bmc_options_set_cipher_suites(s.options, NULL, 0));
    MISUSE(bmclink_bmc_open(s.engine, s.options, &bmc));
    TRUE(bmc == UNTOUCHED(bmclink_bmc));

    bmclink_console_options *options;
    bmclink_console *console = UNTOUCHED(bmclink_console);
    OK(bmclink_console_options_new(&options));
    MISUSE(bmclink_console_options_set_take_over(options, 4));
    OK(bmclink_console_options_set_instance(options, 16));
    MISUSE(bmclink_console_open(s.bmc, options, &console));
    OK(bmclink_console_options_set_instance(options, 1));
    OK(bmclink_console_options_set_replay_len(options, (size_t)-1));
    MISUSE(bmclink_console_open(s.bmc, options, &console));
    TRUE(console == UNTOUCHED(bmclink_console));
    OK(bmclink_console_options_free(options));

    char small[4] = "abc";
    uint8_t byte = 7;
    uint16_t port = 7;
    uint64_t value = 7;
    size_t len = 7;
    MISUSE(bmclink_sim_address(s.sim, 1, small, sizeof small, &port));
    MISUSE(bmclink_sim_address(s.sim, 0, small, sizeof small, &port));
    MISUSE(bmclink_sim_address(s.sim, 0, NULL, 64, &port));
    IS(BMCLINK_ERR_NOT_CONNECTED, bmclink_bmc_address(s.bmc, small, sizeof small, &port));
    MISUSE(bmclink_console_counter(s.console, 0, &value));
    MISUSE(bmclink_console_counter(s.console, 999, &value));
    MISUSE(bmclink_console_wait_state(s.console, 3, 0));
    MISUSE(bmclink_bmc_raw(s.bmc, 7, 0, 1, NULL, 0, 0, &byte, NULL, 0, &len));
    MISUSE(bmclink_bmc_raw(s.bmc, 6, 4, 1, NULL, 0, 0, &byte, NULL, 0, &len));
    MISUSE(bmclink_bmc_raw(s.bmc, 6, 0, 1, NULL, 1, 0, &byte, NULL, 0, &len));
    MISUSE(bmclink_bmc_raw(s.bmc, 6, 0, 1, NULL, 0, 0, &byte, NULL, 1, &len));
    MISUSE(bmclink_bmc_raw(s.bmc, 6, 0, 1, NULL, 0, 0, NULL, NULL, 0, &len));
    MISUSE(bmclink_console_read(s.console, NULL, 1, 0));
    MISUSE(bmclink_console_read(s.console, small, (size_t)-1, 0));
    MISUSE(bmclink_console_write(s.console, NULL, 1, 0));
    MISUSE(bmclink_sim_start("nosuch", NULL, 1, &s.sim));
    MISUSE(bmclink_sim_start(NULL, "nosuch", 1, &s.sim));
    MISUSE(bmclink_sim_start(NULL, NULL, 0, &s.sim));
    TRUE(byte == 7 && port == 7 && value == 7 && len == 7 && strcmp(small, "abc") == 0);
    MISUSE(bmclink_set_log(6, NULL, NULL));
    MISUSE(bmclink_set_log(-1, NULL, NULL));
    tear_down(&s);
}

/* Handles that are stale, of another kind, or no handles at all. */
static void bad_handles(void)
{
    struct setup s;
    char text[8];
    set_up(&s, "echo");
    bmclink_console *stale = s.console;
    OK(bmclink_console_free(stale));
    MISUSE(bmclink_console_free(stale));
    MISUSE(bmclink_console_read(stale, text, sizeof text, -1));
    OK(bmclink_console_open(s.bmc, NULL, &s.console));
    TRUE(s.console != stale);
    MISUSE(bmclink_console_free(stale));

    MISUSE(bmclink_console_connect((bmclink_console *)(void *)s.bmc, 0));
    MISUSE(bmclink_console_free((bmclink_console *)(void *)s.engine));
    MISUSE(bmclink_bmc_open((bmclink_engine *)(void *)s.bmc, s.options, &s.bmc));
    MISUSE(bmclink_bmc_connect((bmclink_bmc *)(void *)&s, 0));
    MISUSE(bmclink_bmc_connect((bmclink_bmc *)(void *)text, 0));
    MISUSE(bmclink_bmc_free((bmclink_bmc *)(uintptr_t)1));
    MISUSE(bmclink_bmc_free((bmclink_bmc *)UINTPTR_MAX));
    TRUE(bmclink_last_error_code() == BMCLINK_ERR_MISUSE);
    IS(0, bmclink_bmc_is_connected(s.bmc));
    struct setup copy = s;
    tear_down(&s);
    MISUSE(bmclink_console_free(copy.console));
    MISUSE(bmclink_bmc_free(copy.bmc));
    MISUSE(bmclink_bmc_options_free(copy.options));
    MISUSE(bmclink_credentials_free(copy.credentials));
    MISUSE(bmclink_engine_free(copy.engine));
    MISUSE(bmclink_sim_free(copy.sim));
}

static void errors_have_texts(void)
{
    for (int32_t code = 0; code >= -25; code--)
        TRUE(strlen(bmclink_error_text(code)) > 0);
    TRUE(strcmp(bmclink_error_text(BMCLINK_OK), "success") == 0);
    TRUE(strcmp(bmclink_error_text(-12345), "unknown error") == 0);
    TRUE(strcmp(bmclink_error_text(1), "unknown error") == 0);
    TRUE(strchr(bmclink_version(), '.') != NULL);
    TRUE(bmclink_abi_version() == BMCLINK_ABI_VERSION);
    IS(1, bmclink_has_feature("sim"));
    IS(0, bmclink_has_feature("nosuch"));

    struct setup s;
    set_up(&s, "echo");
    OK(bmclink_credentials_update(s.credentials, "admin", 5, "wrong", 5, NULL, 0));
    IS(0, bmclink_bmc_reason(s.bmc));
    IS(BMCLINK_ERR_PASSWORD, bmclink_bmc_connect(s.bmc, 20000));
    TRUE(strlen(bmclink_last_error()) > 0 && strlen(bmclink_last_error_advice()) > 0);
    TRUE(strstr(bmclink_last_error(), "wrong password") != NULL);
    IS(BMCLINK_ERR_PASSWORD, bmclink_last_error_code());
    IS(BMCLINK_STAGE_RAKP2, bmclink_last_error_stage());
    OK(bmclink_credentials_update(s.credentials, "nobody", 6, "wrong", 5, NULL, 0));
    IS(BMCLINK_ERR_USER_NAME, bmclink_bmc_connect(s.bmc, 20000));
    IS(0x0d, bmclink_last_error_status());
    IS(0, bmclink_last_error_completion_code());
    IS(BMCLINK_ERR_USER_NAME, bmclink_bmc_reason(s.bmc));
    IS(BMCLINK_ERR_NOT_CONNECTED, bmclink_bmc_cipher_suite(s.bmc));
    IS(BMCLINK_ERR_NOT_CONNECTED, bmclink_bmc_privilege_level(s.bmc));
    OK(bmclink_credentials_update(s.credentials, "admin", 5, "password", 8, NULL, 0));
    OK(bmclink_bmc_connect(s.bmc, 20000));
    /* A call that works leaves the last error alone. */
    IS(BMCLINK_ERR_NOT_CONNECTED, bmclink_last_error_code());
    IS(17, bmclink_bmc_cipher_suite(s.bmc));
    IS(BMCLINK_PRIVILEGE_ADMINISTRATOR, bmclink_bmc_privilege_level(s.bmc));
    IS(1, bmclink_bmc_logins(s.bmc));
    char address[BMCLINK_ADDRESS_MAX];
    uint16_t port = 0;
    OK(bmclink_bmc_address(s.bmc, address, sizeof address, &port));
    TRUE(strcmp(address, "127.0.0.1") == 0 && port != 0);
    tear_down(&s);
}

static void commands(void)
{
    struct setup s;
    uint8_t code = 99, response[64], short_response[2] = {0, 0};
    size_t len = 99, short_len = 99;
    set_up(&s, "echo");
    OK(bmclink_bmc_raw(s.bmc, 6, 0, 1, NULL, 0, 20000, &code, response, sizeof response, &len));
    TRUE(code == 0 && len >= 11 && len <= sizeof response);
    OK(bmclink_bmc_raw(s.bmc, 6, 0, 1, NULL, 0, 20000, &code, short_response, 2, &short_len));
    TRUE(short_len == len && memcmp(short_response, response, 2) == 0);
    OK(bmclink_bmc_raw(s.bmc, 6, 0, 1, NULL, 0, -1, &code, NULL, 0, &short_len));
    TRUE(short_len == len);
    OK(bmclink_bmc_raw(s.bmc, 6, 0, 0xf0, "x", 1, 20000, &code, response, sizeof response, &len));
    TRUE(code == 0xc1);
    tear_down(&s);
}

static void timeouts(void)
{
    struct setup s;
    char text[16];
    set_up(&s, "echo");
    IS(BMCLINK_STATE_UNCONNECTED, bmclink_console_state(s.console));
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_console_read(s.console, text, sizeof text, 0));
    IS(0, bmclink_console_read(s.console, NULL, 0, -1));
    IS(BMCLINK_ERR_NOT_CONNECTED, bmclink_console_write(s.console, "a", 1, -1));
    IS(BMCLINK_ERR_NOT_CONNECTED, bmclink_console_send_break(s.console, -1));
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_console_wait_state(s.console, 0, 0));
    int64_t start = now_ms();
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_console_read(s.console, text, sizeof text, 100));
    TRUE(now_ms() - start >= 99);
    OK(bmclink_console_connect(s.console, -1));
    OK(bmclink_console_connect(s.console, 0));
    IS(BMCLINK_STATE_CONNECTED, bmclink_console_wait_state(s.console, 0, INT64_MAX));
    OK(bmclink_console_reason(s.console));
    IS(0, bmclink_console_write(s.console, NULL, 0, 0));
    IS(5, bmclink_console_write(s.console, "hello", 5, INT64_MIN));
    OK(bmclink_console_drain(s.console, INT64_MAX));
    OK(bmclink_console_send_break(s.console, 5000));
    int64_t len = 0;
    while (len < 5) {
        int64_t got = bmclink_console_read(s.console, text + len, sizeof text - (size_t)len, -1);
        TRUE(got > 0);
        len += got;
    }
    TRUE(memcmp(text, "hello", 5) == 0);
    uint64_t value = 0;
    OK(bmclink_console_counter(s.console, BMCLINK_COUNTER_WRITTEN, &value));
    TRUE(value == 5);
    OK(bmclink_console_counter(s.console, BMCLINK_COUNTER_EPOCH, &value));
    TRUE(value == 1);

    /* A reader with replay sees the past, one without does not. */
    bmclink_reader *old, *young;
    OK(bmclink_reader_open(s.console, 1, &old));
    OK(bmclink_reader_open(s.console, 0, &young));
    IS(5, bmclink_reader_read(old, text, sizeof text, 0));
    IS(BMCLINK_ERR_TIMED_OUT, bmclink_reader_read(young, text, sizeof text, 0));
    IS(0, bmclink_reader_lost(old));
    OK(bmclink_reader_free(old));
    MISUSE(bmclink_reader_read(old, text, sizeof text, 0));

    /* A second console of the same BMC has to wait. */
    bmclink_console *second;
    OK(bmclink_console_open(s.bmc, NULL, &second));
    IS(BMCLINK_ERR_BUSY, bmclink_console_connect(second, 5000));
    OK(bmclink_console_free(second));

    OK(bmclink_console_close(s.console, 5000));
    OK(bmclink_console_close(s.console, 0));
    IS(BMCLINK_ERR_CLOSED, bmclink_reader_read(young, text, sizeof text, -1));
    OK(bmclink_reader_free(young));
    IS(BMCLINK_ERR_CLOSED, bmclink_console_connect(s.console, -1));
    IS(BMCLINK_ERR_CLOSED, bmclink_console_read(s.console, text, sizeof text, -1));
    IS(BMCLINK_ERR_CLOSED, bmclink_console_write(s.console, "a", 1, -1));
    IS(BMCLINK_ERR_CLOSED, bmclink_console_drain(s.console, -1));
    IS(BMCLINK_ERR_CLOSED, bmclink_console_wait_state(s.console, 0, -1));
    IS(BMCLINK_ERR_CLOSED, bmclink_console_reason(s.console));
    IS(1, bmclink_bmc_is_connected(s.bmc));
    tear_down(&s);
}

/* A thread that waits in a call, and what the call gave in the end. */
struct waiter {
    pthread_t thread;
    bmclink_console *console;
    bmclink_reader *reader;
    int64_t result;
};

static void *wait_in_read(void *argument)
{
    struct waiter *waiter = argument;
    char text[16];
    do {
        waiter->result = waiter->reader
            ? bmclink_reader_read(waiter->reader, text, sizeof text, -1)
            : bmclink_console_read(waiter->console, text, sizeof text, INT64_MAX);
    } while (waiter->result > 0);
    return NULL;
}

static void start(struct waiter *waiter, bmclink_console *console, bmclink_reader *reader)
{
    waiter->console = console;
    waiter->reader = reader;
    OK(pthread_create(&waiter->thread, NULL, wait_in_read, waiter));
}

static int64_t result(struct waiter *waiter)
{
    OK(pthread_join(waiter->thread, NULL));
    return waiter->result;
}

/* Whatever a thread waits on can be closed or freed under it. */
static void ends_under_waiting_threads(void)
{
    struct waiter first, second, third;
    struct setup s;
    bmclink_reader *reader;
    set_up(&s, "echo");
    OK(bmclink_console_connect(s.console, 20000));
    OK(bmclink_reader_open(s.console, 0, &reader));
    start(&first, s.console, NULL);
    start(&second, s.console, NULL);
    start(&third, s.console, reader);
    sleep_ms(50);
    IS(0, bmclink_reader_lost(reader));
    OK(bmclink_reader_free(reader));
    IS(BMCLINK_ERR_CLOSED, result(&third));
    OK(bmclink_console_close(s.console, 5000));
    IS(BMCLINK_ERR_CLOSED, result(&first));
    IS(BMCLINK_ERR_CLOSED, result(&second));

    /* Freed instead of closed, with a reader that outlives the console. */
    OK(bmclink_console_free(s.console));
    OK(bmclink_console_open(s.bmc, NULL, &s.console));
    OK(bmclink_console_connect(s.console, 20000));
    OK(bmclink_reader_open(s.console, 0, &reader));
    start(&first, s.console, NULL);
    start(&second, s.console, reader);
    sleep_ms(50);
    OK(bmclink_console_free(s.console));
    int64_t ended = result(&first);
    TRUE(ended == BMCLINK_ERR_CLOSED || ended == BMCLINK_ERR_MISUSE);
    IS(BMCLINK_ERR_CLOSED, result(&second));
    OK(bmclink_reader_free(reader));

    /* The engine goes first. */
    OK(bmclink_console_open(s.bmc, NULL, &s.console));
    OK(bmclink_console_connect(s.console, 20000));
    start(&first, s.console, NULL);
    sleep_ms(50);
    OK(bmclink_engine_free(s.engine));
    IS(BMCLINK_ERR_SHUT_DOWN, result(&first));
    IS(BMCLINK_ERR_SHUT_DOWN, bmclink_bmc_connect(s.bmc, -1));
    IS(BMCLINK_ERR_SHUT_DOWN, bmclink_console_connect(s.console, -1));
    s.engine = NULL;
    tear_down(&s);
}

static void *use_until_freed(void *argument)
{
    struct waiter *waiter = argument;
    char text[64];
    do {
        waiter->result = bmclink_console_write(waiter->console, "abc", 3, 10);
        waiter->result = bmclink_console_read(waiter->console, text, sizeof text, 1);
        (void)bmclink_console_state(waiter->console);
    } while (waiter->result != BMCLINK_ERR_MISUSE);
    return NULL;
}

/* Threads that know nothing of each other, and one that frees what they use. */
static void frees_under_busy_threads(void)
{
    struct setup s;
    set_up(&s, "echo");
    for (int round = 0; round < 5; round++) {
        struct waiter threads[4];
        OK(bmclink_console_connect(s.console, 20000));
        for (int i = 0; i < 4; i++) {
            threads[i].console = s.console;
            OK(pthread_create(&threads[i].thread, NULL, use_until_freed, &threads[i]));
        }
        sleep_ms(20);
        OK(bmclink_console_free(s.console));
        for (int i = 0; i < 4; i++)
            MISUSE(result(&threads[i]));
        OK(bmclink_console_open(s.bmc, NULL, &s.console));
    }
    tear_down(&s);
}

struct messages {
    pthread_mutex_t lock;
    int count;
    int logins;
};

static void take_message(int32_t level, const char *target, const char *message, void *user)
{
    struct messages *messages = user;
    pthread_mutex_lock(&messages->lock);
    messages->count++;
    messages->logins += strstr(message, "logged in") != NULL;
    pthread_mutex_unlock(&messages->lock);
    TRUE(level >= BMCLINK_LOG_ERROR && level <= BMCLINK_LOG_DEBUG);
    TRUE(strncmp(target, "bmclink", 7) == 0);
    TRUE(strstr(message, "password") == NULL);
    /* Calls are fine in here, this one included. */
    MISUSE(bmclink_bmc_connect(NULL, 0));
    if (strstr(message, "logged in") != NULL)
        OK(bmclink_set_log(BMCLINK_LOG_OFF, NULL, NULL));
}

static void logs(void)
{
    struct messages messages = {PTHREAD_MUTEX_INITIALIZER, 0, 0};
    struct setup s;
    for (int round = 1; round <= 3; round++) {
        OK(bmclink_set_log(BMCLINK_LOG_DEBUG, take_message, &messages));
        set_up(&s, "echo");
        OK(bmclink_bmc_connect(s.bmc, 20000));
        OK(bmclink_set_log(BMCLINK_LOG_OFF, NULL, NULL));
        tear_down(&s);
    }
    /* Nothing comes any more, and what came is complete. */
    TRUE(messages.logins == 3 && messages.count >= 3);
}

int main(void)
{
    TRUE(strcmp(bmclink_last_error(), "") == 0 && strcmp(bmclink_last_error_advice(), "") == 0);
    IS(0, bmclink_last_error_code());
    IS(0, bmclink_last_error_stage());
    null_everywhere();
    bad_values();
    bad_handles();
    errors_have_texts();
    commands();
    timeouts();
    ends_under_waiting_threads();
    frees_under_busy_threads();
    logs();
    puts("misuse: all as the header says");
    return EXIT_SUCCESS;
}
