/* Simulated BMCs and all it takes to use them, for the C programs of these tests. */
#ifndef BMCLINK_TESTS_BMCS_H
#define BMCLINK_TESTS_BMCS_H

#include "check.h"
#include <string.h>

struct setup {
    bmclink_sim *sim;
    bmclink_engine *engine;
    bmclink_credentials *credentials;
};

/* As many BMCs, with this behind their serial ports, and an engine. */
static inline void set_up(struct setup *s, const char *serial, uint32_t count)
{
    OK(bmclink_sim_start("spec", serial, count, &s->sim));
    OK(bmclink_engine_new(NULL, &s->engine));
    OK(bmclink_credentials_new("admin", 5, "password", 8, NULL, 0, &s->credentials));
}

static inline void tear_down(struct setup *s)
{
    OK(bmclink_credentials_free(s->credentials));
    OK(bmclink_engine_free(s->engine));
    OK(bmclink_sim_free(s->sim));
}

/* Options for one of them, to be freed. A loss is noticed soon. */
static inline bmclink_bmc_options *options_of(struct setup *s, uint32_t index)
{
    char address[BMCLINK_ADDRESS_MAX];
    uint16_t port;
    bmclink_bmc_options *options;
    OK(bmclink_sim_address(s->sim, index, address, sizeof address, &port));
    OK(bmclink_bmc_options_new(address, s->credentials, &options));
    OK(bmclink_bmc_options_set_port(options, port));
    return options;
}

/* A handle for one of them, to be freed. */
static inline bmclink_bmc *open_bmc(struct setup *s, uint32_t index)
{
    bmclink_bmc_options *options = options_of(s, index);
    bmclink_bmc *bmc;
    OK(bmclink_bmc_open(s->engine, options, &bmc));
    OK(bmclink_bmc_options_free(options));
    return bmc;
}

/* The console of one of them, with these options or none, to be freed. */
static inline bmclink_console *open_console(struct setup *s, uint32_t index,
                                            bmclink_console_options *options)
{
    bmclink_bmc *bmc = open_bmc(s, index);
    bmclink_console *console;
    OK(bmclink_console_open(bmc, options, &console));
    OK(bmclink_bmc_free(bmc));
    return console;
}

/* Has a handle speak of another one of them from now on. */
static inline int32_t move_to(struct setup *s, bmclink_bmc *bmc, uint32_t index)
{
    bmclink_bmc_options *options = options_of(s, index);
    int32_t result = bmclink_bmc_reconfigure(bmc, options);
    OK(bmclink_bmc_options_free(options));
    return result;
}

static inline int32_t set_password(struct setup *s, const char *password)
{
    return bmclink_credentials_update(s->credentials, "admin", 5, password, strlen(password), NULL,
                                      0);
}

/* What one of them counted. */
static inline int64_t counted(struct setup *s, uint32_t index, const char *name)
{
    uint64_t value = 0;
    OK(bmclink_sim_counter(s->sim, index, name, &value));
    return (int64_t)value;
}

/* Waits until one of them has counted so many. */
static inline void await_count(struct setup *s, uint32_t index, const char *name, int64_t wanted)
{
    for (int ms = 0; ms < PATIENCE && counted(s, index, name) < wanted; ms++)
        sleep_ms(1);
    int64_t found = counted(s, index, name);
    if (found != wanted)
        fail("bmcs.h", __LINE__, name, found);
}

/* Get Device ID. */
static inline int32_t ask(bmclink_bmc *bmc)
{
    uint8_t code = 99, response[64];
    size_t len;
    int32_t result = bmclink_bmc_raw(bmc, 6, 0, 1, NULL, 0, PATIENCE, &code, response,
                                     sizeof response, &len);
    TRUE(result != BMCLINK_OK || code == 0);
    return result;
}

/* A write takes what there is room for, and may have to be called again. */
static inline void write_all(bmclink_console *console, const char *bytes, size_t len)
{
    for (int64_t taken; len > 0; bytes += taken, len -= (size_t)taken) {
        taken = bmclink_console_write(console, bytes, len, PATIENCE);
        TRUE(taken >= 1 && (size_t)taken <= len);
    }
}

/* An echo shows that a console is alive. */
static inline void echoes(bmclink_console *console)
{
    char text[8];
    size_t len = 0;
    write_all(console, "hello", 5);
    while (len < 5) {
        int64_t got = bmclink_console_read(console, text + len, 5 - len, PATIENCE);
        TRUE(got >= 1);
        len += (size_t)got;
    }
    TRUE(memcmp(text, "hello", 5) == 0);
}

/* Waits for one event of a reader, over others and bytes, and gives its number. */
static inline uint64_t until(bmclink_reader *reader, int32_t wanted)
{
    char text[64];
    int32_t event = 0;
    uint64_t number = 0;
    do {
        int64_t len = bmclink_reader_next(reader, text, sizeof text, PATIENCE, &event, &number);
        TRUE(len >= 0 && (len > 0) == (event == BMCLINK_EVENT_DATA));
    } while (event != wanted);
    return number;
}

#endif
