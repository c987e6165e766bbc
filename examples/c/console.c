/*
 * A serial console: standard output is what the system behind a BMC prints, standard input is
 * what it gets to read.
 *
 *     console [-H host [-p port] [-U user] [-P password | -E (from BMCLINK_PASSWORD)]]
 *
 * Without a host, attaches to a simulated BMC. On a terminal Ctrl-] ends; else it ends when the
 * input has ended, the BMC has taken all of it, and the system was silent for 500 ms.
 */
#define _DEFAULT_SOURCE
#include <bmclink.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { CTRL_RIGHT_BRACKET = 0x1d, SILENCE_MS = 500 };

/* Says why the last call failed and what to try. */
static int complain(const char *what)
{
    fprintf(stderr, "console: %s: %s\r\nconsole: %s\r\n", what, bmclink_last_error(),
            bmclink_last_error_advice());
    return EXIT_FAILURE;
}

/* A thread of its own: prints until the console is closed or lost. */
static void *copy_output(void *console)
{
    char buffer[4096];
    int64_t len;
    while ((len = bmclink_console_read(console, buffer, sizeof buffer, -1)) > 0) {
        if (fwrite(buffer, 1, (size_t)len, stdout) != (size_t)len || fflush(stdout) != 0)
            return "standard output is closed";
    }
    return len == BMCLINK_ERR_CLOSED ? NULL : "the console is lost";
}

/* Sends what is typed until it ends, or the console does. */
static int copy_input(bmclink_console *console)
{
    char buffer[4096];
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    while (bmclink_console_state(console) == BMCLINK_STATE_CONNECTED) {
        if (poll(&input, 1, 200) <= 0)
            continue;
        ssize_t len = read(STDIN_FILENO, buffer, sizeof buffer);
        if (len <= 0)
            return bmclink_console_drain(console, 10000) < 0 ? complain("input") : 0;
        if (isatty(STDIN_FILENO) && memchr(buffer, CTRL_RIGHT_BRACKET, (size_t)len))
            return 0;
        for (int64_t taken, done = 0; done < len; done += taken)
            if ((taken = bmclink_console_write(console, buffer + done, len - done, -1)) < 0)
                return complain("input");
    }
    return bmclink_console_reason(console) < 0 ? complain("console") : 0;
}

/* Waits until the system has printed nothing for a while. */
static void await_silence(bmclink_console *console)
{
    uint64_t seen = 0, received = 0;
    for (int quiet_ms = 0; quiet_ms < SILENCE_MS; quiet_ms = seen == received ? quiet_ms + 50 : 0) {
        seen = received;
        poll(NULL, 0, 50);
        bmclink_console_counter(console, BMCLINK_COUNTER_RECEIVED, &received);
    }
}

/* From connected to closed. */
static int run(bmclink_console *console)
{
    struct termios before, raw;
    int status = EXIT_FAILURE, terminal = isatty(0) && tcgetattr(0, &before) == 0;
    if (terminal) {
        raw = before;
        cfmakeraw(&raw);
        tcsetattr(0, TCSAFLUSH, &raw);
    }
    pthread_t output;
    void *trouble = "no thread to be had";
    if (pthread_create(&output, NULL, copy_output, console) == 0) {
        status = copy_input(console);
        if (!terminal && status == 0)
            await_silence(console);
        /* This ends the read of the other thread, once it has printed all there is. */
        if (bmclink_console_close(console, 2000) < 0)
            status = complain("close");
        pthread_join(output, &trouble);
    }
    if (terminal)
        tcsetattr(0, TCSAFLUSH, &before);
    fprintf(stderr, "console: %s\n", trouble ? (const char *)trouble : "closed");
    return trouble ? EXIT_FAILURE : status;
}

int main(int argc, char **argv)
{
    const char *host = NULL, *user = "admin", *secret = "password";
    char address[BMCLINK_ADDRESS_MAX];
    uint16_t port = 623;
    int option, status = EXIT_FAILURE;
    while ((option = getopt(argc, argv, "H:p:U:P:E")) != -1) {
        switch (option) {
        case 'H': host = optarg; break;
        case 'p': port = (uint16_t)atoi(optarg); break;
        case 'U': user = optarg; break;
        case 'P': secret = optarg; break;
        case 'E': secret = getenv("BMCLINK_PASSWORD") ? getenv("BMCLINK_PASSWORD") : ""; break;
        default: return EXIT_FAILURE;
        }
    }
    bmclink_sim *sim = NULL;
    bmclink_engine *engine = NULL;
    bmclink_credentials *login = NULL;
    bmclink_bmc_options *options = NULL;
    bmclink_bmc *bmc = NULL;
    bmclink_console *console = NULL;
    if (host == NULL) {
        if (bmclink_sim_start("spec", "shell", 1, &sim) < 0
            || bmclink_sim_address(sim, 0, address, sizeof address, &port) < 0)
            return complain("simulated BMC");
        host = address;
    }
    fprintf(stderr, "console: connecting to %s, port %u\n", host, (unsigned)port);
    if (bmclink_engine_new(NULL, &engine) < 0
        || bmclink_credentials_new(user, strlen(user), secret, strlen(secret), NULL, 0, &login) < 0
        || bmclink_bmc_options_new(host, login, &options) < 0
        || bmclink_bmc_options_set_port(options, port) < 0
        || bmclink_bmc_open(engine, options, &bmc) < 0
        || bmclink_console_open(bmc, NULL, &console) < 0
        || bmclink_console_connect(console, 30000) < 0) {
        complain(host);
    } else {
        fprintf(stderr, "console: connected (cipher suite %d)%s\n",
                (int)bmclink_bmc_cipher_suite(bmc), isatty(STDIN_FILENO) ? "; Ctrl-] ends" : "");
        status = run(console);
    }
    bmclink_console_free(console);
    bmclink_bmc_free(bmc);
    bmclink_bmc_options_free(options);
    bmclink_credentials_free(login);
    bmclink_engine_free(engine);
    bmclink_sim_free(sim);
    return status;
}
