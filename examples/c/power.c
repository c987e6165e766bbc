/*
 * Switches many hosts, or says whether they are on: all at once, each line as its BMC is done.
 *
 *     power [-U user] [-P password] [-t seconds] [-w] action [host...]
 *
 * `action` is status, off, on, cycle, reset, diag or soft; with -w it waits until it is so. A host
 * may have a range: "rack[1-3]-bmc", "10.0.0.[10-40]", "node[01-16]" (as many digits as it has).
 * Without hosts, four simulated BMCs, one of which is dead. Ends with 0 when all went well.
 */
#define _DEFAULT_SOURCE
#include <bmclink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS_MAX = 10000, WAIT_MS = 60000 };

struct host {
    char name[256];
    uint16_t port;
};

static struct host hosts[HOSTS_MAX];
static size_t count;

static int complain(const char *what)
{
    fprintf(stderr, "power: %s: %s\npower: %s\n", what, bmclink_last_error(),
            bmclink_last_error_advice());
    return -1;
}

static int add(const char *name, uint16_t port)
{
    if (count == HOSTS_MAX || strlen(name) >= sizeof hosts[count].name)
        return fprintf(stderr, "power: too many hosts, or too long a name: %s\n", name), -1;
    strcpy(hosts[count].name, name);
    hosts[count++].port = port;
    return 0;
}

/* Adds a host, or all that its first range stands for. */
static int add_range(const char *text)
{
    char name[512];
    const char *open = strchr(text, '[');
    if (open == NULL)
        return add(text, 623);
    char *middle = NULL, *close = NULL;
    unsigned long first = strtoul(open + 1, &middle, 10);
    unsigned long last = *middle == '-' ? strtoul(middle + 1, &close, 10) : 0;
    if (middle == open + 1 || close == NULL || *close != ']' || first > last || strlen(text) > 300)
        return fprintf(stderr, "power: not a range like [1-9]: %s\n", text), -1;
    for (unsigned long number = first; number <= last; number++) {
        snprintf(name, sizeof name, "%.*s%0*lu%s", (int)(open - text), text,
                 (int)(middle - open - 1), number, close + 1);
        if (add_range(name) < 0)
            return -1;
    }
    return 0;
}

/* Opens a BMC and puts it into the fleet, which keeps it. Nothing is sent yet. */
static int enlist(const struct host *host, bmclink_engine *engine, bmclink_credentials *login,
                  bmclink_fleet *fleet)
{
    bmclink_bmc_options *options = NULL;
    bmclink_bmc *bmc = NULL;
    int failed = bmclink_bmc_options_new(host->name, login, &options) < 0
        || bmclink_bmc_options_set_port(options, host->port) < 0
        || bmclink_bmc_open(engine, options, &bmc) < 0
        || bmclink_fleet_add(fleet, bmc) < 0;
    if (failed)
        complain(host->name);
    bmclink_bmc_free(bmc);
    bmclink_bmc_options_free(options);
    return failed ? -1 : 0;
}

/* The command that does it. */
static bmclink_command *command_for(const char *action, int wait)
{
    bmclink_command *command = NULL;
    int is_status = strcmp(action, "status") == 0;
    if (bmclink_command_new(is_status ? "chassis_status" : "power", &command) < 0
        || (!is_status && bmclink_command_set_text(command, "action", action) < 0)
        || (!is_status && wait && bmclink_command_set_number(command, "wait_ms", WAIT_MS) < 0)) {
        complain(action);
        bmclink_command_free(command);
        return NULL;
    }
    return command;
}

/* Asks all of them, and prints what comes of each as it comes. Gives how many failed. */
static int ask(bmclink_fleet *fleet, bmclink_command *command)
{
    bmclink_run *run = NULL;
    uint64_t index;
    int32_t code, got;
    int failures = 0;
    if (bmclink_fleet_run(fleet, command, &run) < 0)
        return complain("fleet");
    for (;;) {
        bmclink_result *result = NULL;
        int64_t on;
        got = bmclink_run_next(run, -1, &index, &code, &result);
        if (got != 1)
            break;
        if (code < 0) {
            printf("%s: %s\n", hosts[index].name, bmclink_last_error());
            failures++;
        } else if (bmclink_result_rows(result) == 0) {
            printf("%s: ok\n", hosts[index].name);
        } else if (bmclink_result_number(result, 0, "power_on", &on) == 0) {
            printf("%s: %s\n", hosts[index].name, on ? "on" : "off");
        }
        fflush(stdout);
        bmclink_result_free(result);
    }
    bmclink_run_free(run);
    return got < 0 ? complain("fleet") : failures;
}

/* Three BMCs that are well and one that is not. */
static bmclink_sim *demonstration(void)
{
    bmclink_sim *sim = NULL;
    char address[BMCLINK_ADDRESS_MAX];
    uint16_t port;
    if (bmclink_sim_start("spec", "none", 4, &sim) < 0
        || bmclink_sim_set_reachable(sim, 3, 0) < 0)
        complain("simulated BMCs");
    for (uint32_t i = 0; i < 4; i++)
        if (bmclink_sim_address(sim, i, address, sizeof address, &port) == 0)
            add(address, port);
    return sim;
}

int main(int argc, char **argv)
{
    const char *user = "admin", *secret = "password";
    int64_t timeout_ms = 0;
    int option, wait = 0, failures = -1;
    while ((option = getopt(argc, argv, "U:P:t:w")) != -1) {
        switch (option) {
        case 'U': user = optarg; break;
        case 'P': secret = optarg; break;
        case 't': timeout_ms = atol(optarg) * 1000; break;
        case 'w': wait = 1; break;
        default: return EXIT_FAILURE;
        }
    }
    if (optind == argc)
        return fprintf(stderr, "power: what is to be done? (status, on, off, ...)\n"), EXIT_FAILURE;
    for (int i = optind + 1; i < argc; i++)
        if (add_range(argv[i]) < 0)
            return EXIT_FAILURE;
    bmclink_sim *sim = optind + 1 == argc ? demonstration() : NULL;
    if (timeout_ms == 0)
        timeout_ms = sim ? 3000 : 20000 + (wait ? WAIT_MS : 0);

    bmclink_engine *engine = NULL;
    bmclink_credentials *login = NULL;
    bmclink_fleet *fleet = NULL;
    bmclink_command *command = command_for(argv[optind], wait);
    if (bmclink_engine_new(NULL, &engine) < 0
        || bmclink_credentials_new(user, strlen(user), secret, strlen(secret), NULL, 0, &login) < 0
        || bmclink_fleet_new(&fleet) < 0
        || bmclink_fleet_set_timeout_ms(fleet, timeout_ms) < 0) {
        complain("engine");
    } else if (command != NULL) {
        size_t enlisted = 0;
        while (enlisted < count && enlist(&hosts[enlisted], engine, login, fleet) == 0)
            enlisted++;
        if (enlisted == count)
            failures = ask(fleet, command);
    }
    bmclink_command_free(command);
    bmclink_fleet_free(fleet);
    bmclink_credentials_free(login);
    bmclink_engine_free(engine);
    bmclink_sim_free(sim);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
