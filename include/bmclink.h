/*
 * bmclink: IPMI 2.0 sessions and Serial-over-LAN consoles, for one BMC or ten thousand.
 *
 * Licensed under MIT or Apache-2.0, at your option.
 *
 *
 * A console in ten calls (each returns a negative code when it fails)
 *
 *     bmclink_engine_new(NULL, &engine);
 *     bmclink_credentials_new("admin", 5, "secret", 6, NULL, 0, &credentials);
 *     bmclink_bmc_options_new("bmc1.example.org", credentials, &options);
 *     bmclink_bmc_open(engine, options, &bmc);
 *     bmclink_console_open(bmc, NULL, &console);
 *     bmclink_console_connect(console, 20000);
 *     n = bmclink_console_read(console, buffer, sizeof buffer, -1);
 *     n = bmclink_console_write(console, "hello", 5, 1000);
 *     bmclink_console_close(console, 1000);
 *     bmclink_console_free(console);     and _free for each of the others, in any order
 *
 * examples/c/console.c is a whole program. Link with -lbmclink; the static library also needs
 * -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc.
 *
 *
 * Objects
 *
 *     engine       the threads that run sessions; one per process will do
 *     credentials  user name, password, K_g; one value that many BMCs can share
 *     bmc          one BMC: at most one IPMI session, for its commands and its console
 *     console      the serial console of a BMC, the terminal of a command (bmclink_exec_open), or
 *                  what functions of yours carry (bmclink_backend_open)
 *     reader       one of many that see all a console prints, and all that happens to it
 *     event_queue  which of many consoles have something; one file descriptor for all of them
 *     command      a management command and what it is given: bmclink_command_new lists them
 *     result       what a command gave: rows of named values
 *     fleet        many BMCs that are asked the same, and a run of that: bmclink_fleet_run
 *     stats        what an engine or a BMC counted, at one moment
 *     sim          simulated BMCs, to try all this without hardware
 *
 * Handles are names, not addresses: the library never follows one. A handle that is NULL, was
 * freed, or belongs to another kind of object makes a call fail with BMCLINK_ERR_MISUSE. What
 * bmclink_X_new, _open or _start gives is freed by bmclink_X_free; freeing NULL does nothing and
 * is a success. Objects keep what they need of each other, so the order of freeing is free.
 * Freeing an object while other threads are inside calls on it is safe.
 *
 * Settings are made on options objects, by bmclink_X_options_set_Y, and copied when they are used:
 * an options object can be changed, used again or freed at any time after. Setters do not block
 * and fail with BMCLINK_ERR_MISUSE only.
 *
 *
 * Many consoles
 *
 * A thread that blocks in bmclink_console_read waits for one console. To wait for many, add them to
 * an event queue, begin to connect them all, and read from those it reports:
 *
 *     bmclink_event_queue_add_console(queue, console[i], i);      for each of them, and then
 *     bmclink_console_begin_connect(console[i]);
 *     n = bmclink_event_queue_wait(queue, keys, events, 64, -1);  or poll bmclink_event_queue_fd
 *
 * bmclink_reader_fd and bmclink_console_fd are descriptors for one, and
 * bmclink_console_set_callback has a function called.
 *
 *
 * Consoles that stay
 *
 * With bmclink_console_options_set_keep a console is connected again by itself.
 * bmclink_reader_next tells what happened to it, each event at its place among the bytes:
 *
 *     n = bmclink_reader_next(reader, buffer, sizeof buffer, -1, &event, &number);
 *     if (event == BMCLINK_EVENT_DATA)               n bytes are in the buffer
 *     if (event == BMCLINK_EVENT_DISCONNECTED)       bmclink_reader_event_reason says why
 *     if (event == BMCLINK_EVENT_GAP)                something may be missing here
 *
 * bmclink_console_why says how it stands and when it is tried again, bmclink_bmc_reconfigure,
 * bmclink_console_reconfigure and bmclink_credentials_update change what it is connected with, and
 * bmclink_console_options_set_log_file has all of it written to a file.
 *
 *
 * Commands
 *
 * bmclink_bmc_power_status and bmclink_bmc_power do what is wanted most. All others have a name:
 *
 *     bmclink_command_new("device_id", &command);
 *     bmclink_bmc_run(bmc, command, 10000, &result);
 *     bmclink_result_number(result, 0, "manufacturer_id", &number);
 *     bmclink_result_text(result, 0, "firmware_revision");
 *
 * and so for thousands at once, each with its own result or error, as they come:
 *
 *     bmclink_fleet_run(fleet, command, &run);
 *     while (bmclink_run_next(run, -1, &index, &code, &result) == 1) ...
 *
 *
 * Calls
 *
 * Arguments come in the order object, inputs, outputs. Every function may be called from any
 * thread at any time; handles are shared by threads freely. Functions that have a timeout block,
 * for at most about that long; the others do not, unless their comment says so. A call that waits
 * ends early when its console or reader is closed or freed, or its engine is freed, by another
 * thread.
 *
 * A `timeout_ms` is in milliseconds. Negative waits for ever; 0 does not wait, and asks only for
 * what is there at once. A time that is over is BMCLINK_ERR_TIMED_OUT, and nothing to clean up.
 *
 * Functions that return int32_t give 0 (or the number asked for) when they worked, functions that
 * return int64_t a count of 0 or more; a negative value is one of BMCLINK_ERR_*. Outputs are
 * written only on success. More about a failure is kept for the thread it happened in:
 * bmclink_last_error and its companions.
 *
 * Bytes are passed as pointer and length, and (NULL, 0) is no bytes; strings end with a NUL where
 * a comment says so, and are UTF-8. All input is copied before a call returns.
 *
 *
 * The process
 *
 * The library sets no signal handlers and no limits, never exits, and prints nothing, but for the
 * message of a panic, which is a bug of ours and becomes BMCLINK_ERR_INTERNAL. Its threads do not
 * survive fork(): make the engine in the process that uses it. It stays in memory after dlclose().
 */


#ifndef BMCLINK_H
#define BMCLINK_H

/* Made from src/ffi by `UPDATE_HEADER=1 cargo test --test header`. Do not edit. */

#include <stddef.h>
#include <stdint.h>

/* A result that must be looked at. */
#if defined(__GNUC__)
#define BMCLINK_MUST_USE __attribute__((warn_unused_result))
#else
#define BMCLINK_MUST_USE
#endif

/**
 * The interface this header describes: its major number times 65536, plus its minor number.
 *
 * The major number is that of the shared object's name. The minor number grows whenever
 * something is added. A program works with a library whose major number is the same and whose
 * minor number is not smaller: see bmclink_abi_version.
 */
#define BMCLINK_ABI_VERSION 3

/**
 * What a function returns when it worked and has nothing to count.
 */
#define BMCLINK_OK 0

/**
 * Room for any address and its NUL: bmclink_bmc_address, bmclink_sim_address.
 */
#define BMCLINK_ADDRESS_MAX 64

/**
 * What a function returns when it failed. All are negative. New codes may be added: treat one
 * that you do not know as a failure.
 */
typedef enum bmclink_err {
    /**
     * The call's own timeout is over. Nothing else is known to be wrong.
     */
    BMCLINK_ERR_TIMED_OUT = -1,
    /**
     * The BMC does not answer.
     */
    BMCLINK_ERR_UNREACHABLE = -2,
    /**
     * The BMC does not answer, and its address says that nobody listens there.
     */
    BMCLINK_ERR_CONNECTION_REFUSED = -3,
    /**
     * The BMC's name has no address.
     */
    BMCLINK_ERR_NAME_NOT_FOUND = -4,
    /**
     * The BMC refused the user name. Do not retry in a loop: BMCs lock accounts.
     */
    BMCLINK_ERR_USER_NAME = -5,
    /**
     * The password is wrong; some BMCs say the same of an unknown user name. Do not retry in a
     * loop: BMCs lock accounts.
     */
    BMCLINK_ERR_PASSWORD = -6,
    /**
     * The password is right and K_g is wrong, missing or superfluous.
     */
    BMCLINK_ERR_KG = -7,
    /**
     * The wanted privilege level was refused, or is too low for what was asked.
     */
    BMCLINK_ERR_PRIVILEGE = -8,
    /**
     * No acceptable cipher suite, or the BMC chose one it was not asked for.
     */
    BMCLINK_ERR_CIPHER_SUITE = -9,
    /**
     * No session slot is free at the BMC.
     */
    BMCLINK_ERR_NO_FREE_SESSION = -10,
    /**
     * The BMC lacks what is needed: IPMI v2.0, an authentication type, a console in a v1.5
     * session.
     */
    BMCLINK_ERR_INCOMPATIBLE = -11,
    /**
     * The BMC broke the protocol, or refused with a code that has no error of its own.
     */
    BMCLINK_ERR_PEER_MISBEHAVED = -12,
    /**
     * The BMC answered a command with a completion code other than 0.
     */
    BMCLINK_ERR_COMPLETION = -13,
    /**
     * SOL is disabled at the BMC, for the channel or for the user.
     */
    BMCLINK_ERR_SOL_DISABLED = -14,
    /**
     * Another session owns SOL.
     */
    BMCLINK_ERR_SOL_IN_USE = -15,
    /**
     * SOL was refused for another reason.
     */
    BMCLINK_ERR_SOL_REFUSED = -16,
    /**
     * The session or its console was lost: the BMC stopped answering, or gave SOL away.
     */
    BMCLINK_ERR_LOST = -17,
    /**
     * A command that must not be repeated was sent, and no answer came.
     */
    BMCLINK_ERR_OUTCOME_UNKNOWN = -18,
    /**
     * The console, or the BMC, is not connected.
     */
    BMCLINK_ERR_NOT_CONNECTED = -19,
    /**
     * What was waited for was closed or freed. For readers: the end of the stream.
     */
    BMCLINK_ERR_CLOSED = -20,
    /**
     * The engine was freed.
     */
    BMCLINK_ERR_SHUT_DOWN = -21,
    /**
     * A limit of the library was reached.
     */
    BMCLINK_ERR_BUSY = -22,
    /**
     * The caller's bug: a NULL, a stale handle, a value out of range.
     */
    BMCLINK_ERR_MISUSE = -23,
    /**
     * The operating system refused something.
     */
    BMCLINK_ERR_IO = -24,
    /**
     * Our bug: a panic, which was caught.
     */
    BMCLINK_ERR_INTERNAL = -25,
    /**
     * The BMC's configuration was changed while this was under way.
     */
    BMCLINK_ERR_RECONFIGURED = -26,
    /**
     * Another session took SOL away.
     */
    BMCLINK_ERR_STOLEN = -27,
    /**
     * The call was cancelled by another thread.
     */
    BMCLINK_ERR_CANCELLED = -28,
} bmclink_err;

/**
 * How far login, session or console had come when something failed.
 */
typedef enum bmclink_stage {
    /**
     * Not known, or the failure has nothing to do with a session.
     */
    BMCLINK_STAGE_NONE = 0,
    /**
     * Get Channel Authentication Capabilities.
     */
    BMCLINK_STAGE_CAPABILITIES = 1,
    /**
     * RMCP+ Open Session.
     */
    BMCLINK_STAGE_OPEN_SESSION = 2,
    /**
     * RAKP messages 1 and 2.
     */
    BMCLINK_STAGE_RAKP2 = 3,
    /**
     * RAKP messages 3 and 4.
     */
    BMCLINK_STAGE_RAKP4 = 4,
    /**
     * Get Session Challenge of a v1.5 login.
     */
    BMCLINK_STAGE_CHALLENGE = 5,
    /**
     * Activate Session of a v1.5 login.
     */
    BMCLINK_STAGE_ACTIVATE_SESSION = 6,
    /**
     * Set Session Privilege Level.
     */
    BMCLINK_STAGE_PRIVILEGE = 7,
    /**
     * Activate Payload.
     */
    BMCLINK_STAGE_ACTIVATE_SOL = 8,
    /**
     * The session is up; a command or its keepalive was under way.
     */
    BMCLINK_STAGE_ACTIVE = 9,
    /**
     * The console is connected.
     */
    BMCLINK_STAGE_SOL = 10,
} bmclink_stage;

/**
 * How much is logged; each level includes those before it.
 */
typedef enum bmclink_log {
    /**
     * Nothing.
     */
    BMCLINK_LOG_OFF = 0,
    /**
     * The library itself is in trouble.
     */
    BMCLINK_LOG_ERROR = 1,
    /**
     * Something is wrong that it can live with.
     */
    BMCLINK_LOG_WARN = 2,
    /**
     * Sessions begin and end.
     */
    BMCLINK_LOG_INFO = 3,
    /**
     * Every attempt.
     */
    BMCLINK_LOG_DEBUG = 4,
    /**
     * Every packet that is dropped, and more.
     */
    BMCLINK_LOG_TRACE = 5,
} bmclink_log;

/**
 * Privilege levels. The numbers are IPMI's.
 */
typedef enum bmclink_privilege {
    /**
     * Administrator, or what the BMC grants below it. Only to be asked for, never what a session
     * works at.
     */
    BMCLINK_PRIVILEGE_HIGHEST = 0,
    /**
     * May only start a session and ask for a callback.
     */
    BMCLINK_PRIVILEGE_CALLBACK = 1,
    /**
     * May read.
     */
    BMCLINK_PRIVILEGE_USER = 2,
    /**
     * May operate: chassis control, consoles on most BMCs.
     */
    BMCLINK_PRIVILEGE_OPERATOR = 3,
    /**
     * May configure.
     */
    BMCLINK_PRIVILEGE_ADMINISTRATOR = 4,
    /**
     * OEM proprietary.
     */
    BMCLINK_PRIVILEGE_OEM = 5,
} bmclink_privilege;

/**
 * Which IPMI version to log in with.
 */
typedef enum bmclink_ipmi {
    /**
     * v2.0 (RMCP+) only; a BMC without it is an error.
     */
    BMCLINK_IPMI_V20 = 0,
    /**
     * v2.0, or v1.5 where the BMC says that it has no v2.0.
     */
    BMCLINK_IPMI_V20_OR_V15 = 1,
    /**
     * v1.5 only. There are no consoles then.
     */
    BMCLINK_IPMI_V15 = 2,
} bmclink_ipmi;

/**
 * How the BMC looks the user up.
 */
typedef enum bmclink_user_lookup {
    /**
     * By name alone: what nearly every BMC expects.
     */
    BMCLINK_USER_LOOKUP_NAME = 0,
    /**
     * By name and privilege level: some BMCs then want the user's exact level.
     */
    BMCLINK_USER_LOOKUP_NAME_AND_PRIVILEGE = 1,
} bmclink_user_lookup;

/**
 * Authentication types of IPMI v1.5. The numbers are IPMI's.
 */
typedef enum bmclink_auth {
    /**
     * None at all.
     */
    BMCLINK_AUTH_NONE = 0,
    /**
     * A keyed MD2 digest.
     */
    BMCLINK_AUTH_MD2 = 1,
    /**
     * A keyed MD5 digest.
     */
    BMCLINK_AUTH_MD5 = 2,
    /**
     * The password in clear.
     */
    BMCLINK_AUTH_PASSWORD = 4,
    /**
     * A vendor's own.
     */
    BMCLINK_AUTH_OEM = 5,
} bmclink_auth;

/**
 * Waiting times of a session, in milliseconds. From 10 ms to 1 h, and from 0 for pauses and
 * jitter, from 100 ms for keepalive and the two lost times.
 */
typedef enum bmclink_timing {
    /**
     * The first wait for an answer during login; later ones grow by half. Default 1 s.
     */
    BMCLINK_TIMING_HANDSHAKE_FIRST = 1,
    /**
     * The longest wait for an answer during login. Default 5 s.
     */
    BMCLINK_TIMING_HANDSHAKE_MAX = 2,
    /**
     * The pause before the third and later attempts of a login. Default 3 s.
     */
    BMCLINK_TIMING_ATTEMPT_PAUSE = 3,
    /**
     * The first wait for a command's answer; later ones double. Default 1 s.
     */
    BMCLINK_TIMING_REQUEST_FIRST = 4,
    /**
     * The longest wait for a command's answer before it is sent again. Default 4 s.
     */
    BMCLINK_TIMING_REQUEST_MAX = 5,
    /**
     * A keepalive is sent so long after the last answer. Default 24 s.
     */
    BMCLINK_TIMING_KEEPALIVE = 6,
    /**
     * Up to so much is added to it by chance, so that many BMCs do not beat in step. Default 3 s.
     */
    BMCLINK_TIMING_KEEPALIVE_JITTER = 7,
    /**
     * An unanswered keepalive is sent again after this, once it was a few times. Default 5 s.
     */
    BMCLINK_TIMING_KEEPALIVE_RETRY = 8,
    /**
     * A session is lost when nothing valid came for this long after something was asked.
     * Default 45 s.
     */
    BMCLINK_TIMING_LOST_AFTER = 9,
    /**
     * The same after a sign that the BMC restarted. Default 8 s.
     */
    BMCLINK_TIMING_LOST_AFTER_HINT = 10,
    /**
     * How long each step of closing may take. Default 1 s.
     */
    BMCLINK_TIMING_CLOSE = 11,
} bmclink_timing;

/**
 * Where a console is in its life.
 */
typedef enum bmclink_state {
    /**
     * Not connected, and not being connected; maybe another try is planned: see
     * bmclink_console_why.
     */
    BMCLINK_STATE_UNCONNECTED = 0,
    /**
     * Logging in or activating SOL.
     */
    BMCLINK_STATE_CONNECTING = 1,
    /**
     * SOL is active.
     */
    BMCLINK_STATE_CONNECTED = 2,
} bmclink_state;

/**
 * What to do when another session owns SOL.
 */
typedef enum bmclink_take_over {
    /**
     * Fail with BMCLINK_ERR_SOL_IN_USE.
     */
    BMCLINK_TAKE_OVER_NEVER = 0,
    /**
     * Take it when its session is gone: a crashed program leaves such behind. The default.
     */
    BMCLINK_TAKE_OVER_STALE = 1,
    /**
     * Take it now; when it is taken back, leave it.
     */
    BMCLINK_TAKE_OVER_ONCE = 2,
    /**
     * Take it whenever it is in the way.
     */
    BMCLINK_TAKE_OVER_ALWAYS = 3,
} bmclink_take_over;

/**
 * Whether a console is connected again by itself, after a loss or a failure.
 */
typedef enum bmclink_keep {
    /**
     * No: it is connected by bmclink_console_connect and bmclink_console_begin_connect, and a loss
     * is final until the next of these. The default.
     */
    BMCLINK_KEEP_ON_REQUEST = 0,
    /**
     * While somebody is attached: a reader, or the console itself from its first read on. Each
     * time one comes, it is tried at once.
     */
    BMCLINK_KEEP_WHILE_ATTACHED = 1,
    /**
     * Always, from the moment it is opened.
     */
    BMCLINK_KEEP_ALWAYS = 2,
} bmclink_keep;

/**
 * The waiting times of a console that is kept, before it is tried again.
 */
typedef enum bmclink_retry {
    /**
     * The limit of the first wait, doubled after each failure; a wait is chosen by chance between
     * nothing and its limit. Default 1 s.
     */
    BMCLINK_RETRY_FIRST = 1,
    /**
     * The longest limit. Default 120 s.
     */
    BMCLINK_RETRY_MAX = 2,
    /**
     * After a refused user name, password, K_g or privilege level: this, and up to a quarter more
     * by chance. Default 60 s: BMCs lock accounts.
     */
    BMCLINK_RETRY_CREDENTIALS = 3,
    /**
     * The same when the BMC has no session slot free, or SOL is disabled or refused. Default 30 s.
     */
    BMCLINK_RETRY_REFUSED = 4,
    /**
     * The same when SOL is in use by another session or was taken by one, doubled each time it
     * happens again. Default 60 s.
     */
    BMCLINK_RETRY_STOLEN = 5,
    /**
     * A connection that lived so long is tried again at once. Default 60 s.
     */
    BMCLINK_RETRY_STABLE = 6,
} bmclink_retry;

/**
 * What a console counts, over all its connections.
 */
typedef enum bmclink_counter {
    /**
     * How often the console was connected.
     */
    BMCLINK_COUNTER_EPOCH = 1,
    /**
     * Bytes received from the BMC.
     */
    BMCLINK_COUNTER_RECEIVED = 2,
    /**
     * Bytes taken from writers.
     */
    BMCLINK_COUNTER_WRITTEN = 3,
    /**
     * Bytes of input that the BMC has not acknowledged yet.
     */
    BMCLINK_COUNTER_PENDING = 4,
    /**
     * Bytes of input that were lost with a connection, or whose fate is unknown.
     */
    BMCLINK_COUNTER_INPUT_LOST = 5,
    /**
     * Places where the BMC skipped packets: an unknown number of bytes is missing there.
     */
    BMCLINK_COUNTER_GAPS = 6,
    /**
     * Times the BMC said that it had to drop characters of the managed system.
     */
    BMCLINK_COUNTER_OVERRUNS = 7,
    /**
     * Breaks the managed system sent.
     */
    BMCLINK_COUNTER_BREAKS = 8,
    /**
     * Times SOL was activated again within a session, because the BMC had gone mute.
     */
    BMCLINK_COUNTER_REACTIVATIONS = 9,
    /**
     * 1 while the BMC says that the serial port is unavailable: powered off, in reset.
     */
    BMCLINK_COUNTER_UNAVAILABLE = 10,
    /**
     * Characters per packet that the BMC takes; 0 before the first connection.
     */
    BMCLINK_COUNTER_CHARACTERS_MAX = 11,
    /**
     * A port the BMC named for SOL that is not the session's and is not used; else 0.
     */
    BMCLINK_COUNTER_OTHER_PORT = 12,
    /**
     * How long ago the last byte came, in milliseconds; UINT64_MAX before the first.
     */
    BMCLINK_COUNTER_LAST_DATA_MS = 13,
    /**
     * Bytes written to its log file and the predecessors of that.
     */
    BMCLINK_COUNTER_LOG_WRITTEN = 14,
    /**
     * Bytes that should be in its log file and are not: the disk was too slow, full, or not there.
     */
    BMCLINK_COUNTER_LOG_LOST = 15,
} bmclink_counter;

/**
 * What is counted. Numbers are never used again for something else; a later version may have
 * more. Those marked * are of one BMC too, all others only of an engine and its threads.
 */
typedef enum bmclink_stat {
    /**
     * BMCs opened and not freed.
     */
    BMCLINK_STAT_BMCS = 1,
    /**
     * Sessions that are up.
     */
    BMCLINK_STAT_SESSIONS = 2,
    /**
     * Consoles that are connected.
     */
    BMCLINK_STAT_CONSOLES = 3,
    /**
     * Logins under way that count for bmclink_engine_options_set_logins_at_once.
     */
    BMCLINK_STAT_LOGINS_RUNNING = 4,
    /**
     * BMCs that wait for their login to begin.
     */
    BMCLINK_STAT_LOGINS_WAITING = 5,
    /**
     * * Logins that succeeded.
     */
    BMCLINK_STAT_LOGINS = 6,
    /**
     * * Logins that failed, by whatever cause.
     */
    BMCLINK_STAT_LOGINS_FAILED = 7,
    /**
     * * Sessions that were up and ended without being closed from here.
     */
    BMCLINK_STAT_SESSIONS_LOST = 8,
    /**
     * * Datagrams received.
     */
    BMCLINK_STAT_DATAGRAMS_RECEIVED = 9,
    /**
     * Bytes in them.
     */
    BMCLINK_STAT_BYTES_RECEIVED = 10,
    /**
     * * Datagrams sent.
     */
    BMCLINK_STAT_DATAGRAMS_SENT = 11,
    /**
     * Bytes in them.
     */
    BMCLINK_STAT_BYTES_SENT = 12,
    /**
     * Datagrams the kernel did not take to send.
     */
    BMCLINK_STAT_SEND_FAILED = 13,
    /**
     * Datagrams from addresses that are no BMC's.
     */
    BMCLINK_STAT_STRANGERS = 14,
    /**
     * * Datagrams thrown away because their BMC had sent more than its share.
     */
    BMCLINK_STAT_OVER_SHARE = 15,
    /**
     * Datagrams the kernel had no room for in the receive buffers.
     */
    BMCLINK_STAT_KERNEL_DROPPED = 16,
    /**
     * * ICMP errors.
     */
    BMCLINK_STAT_ICMP_ERRORS = 17,
    /**
     * Sockets.
     */
    BMCLINK_STAT_SOCKETS = 18,
    /**
     * The smallest receive buffer the kernel gave, in its own bytes.
     */
    BMCLINK_STAT_RECEIVE_BUFFER_LEN = 19,
    /**
     * System calls on sockets.
     */
    BMCLINK_STAT_SOCKET_CALLS = 20,
    /**
     * Calls that were taken from other threads.
     */
    BMCLINK_STAT_CALLS = 21,
    /**
     * Calls that wait to be taken.
     */
    BMCLINK_STAT_CALLS_WAITING = 22,
    /**
     * Turns of the engine's loops.
     */
    BMCLINK_STAT_TURNS = 23,
    /**
     * Turns that began with datagrams left over from the one before.
     */
    BMCLINK_STAT_TURNS_BEHIND = 24,
    /**
     * Deadlines that came up.
     */
    BMCLINK_STAT_DEADLINES = 25,
    /**
     * Panics inside sessions, each of which ended its session.
     */
    BMCLINK_STAT_PANICS = 26,
    /**
     * * Datagrams thrown away, of a BMC: by whatever reason but its share.
     */
    BMCLINK_STAT_DATAGRAMS_DROPPED = 27,
    /**
     * * Requests sent again.
     */
    BMCLINK_STAT_REQUEST_RETRANSMITS = 28,
    /**
     * * SOL packets sent again.
     */
    BMCLINK_STAT_SOL_RETRANSMITS = 29,
    /**
     * * SOL packets received again.
     */
    BMCLINK_STAT_SOL_DUPLICATES = 30,
    /**
     * * Requests that wait for a response.
     */
    BMCLINK_STAT_REQUESTS_WAITING = 31,
    /**
     * * The smoothed round trip, in microseconds; not there before the first answer.
     */
    BMCLINK_STAT_ROUND_TRIP_US = 32,
    /**
     * * How long ago the last valid packet came, in milliseconds; not there without a session.
     */
    BMCLINK_STAT_LAST_HEARD_MS = 33,
} bmclink_stat;

/**
 * What happened at a console. More may be added.
 */
typedef enum bmclink_event {
    /**
     * It printed bytes, all in one connection.
     */
    BMCLINK_EVENT_DATA = 1,
    /**
     * It is being connected.
     */
    BMCLINK_EVENT_CONNECTING = 2,
    /**
     * It is connected; the number is how often it was so by then.
     */
    BMCLINK_EVENT_CONNECTED = 3,
    /**
     * It is not connected any more, or the attempt to connect it has failed, for a reason. It is
     * followed by BMCLINK_EVENT_CONNECTING when that is tried again.
     */
    BMCLINK_EVENT_DISCONNECTED = 4,
    /**
     * Bytes may be missing here: the BMC skipped some, or the console was not connected for a
     * while. The number says how many; 0 when that is not known.
     */
    BMCLINK_EVENT_GAP = 5,
    /**
     * The managed system sent a break.
     */
    BMCLINK_EVENT_BREAK = 6,
    /**
     * The BMC says it had to drop characters of the managed system.
     */
    BMCLINK_EVENT_OVERRUN = 7,
    /**
     * Another session took SOL away. BMCLINK_EVENT_DISCONNECTED follows.
     */
    BMCLINK_EVENT_STOLEN = 8,
    /**
     * The BMC says that the serial port is unavailable: powered off, or in reset.
     */
    BMCLINK_EVENT_POWERED_OFF = 9,
    /**
     * The BMC says that the serial port is available again.
     */
    BMCLINK_EVENT_POWERED_ON = 10,
    /**
     * SOL was activated again within its session, because the BMC had gone mute or skipped much.
     */
    BMCLINK_EVENT_REACTIVATED = 11,
    /**
     * Bytes of input, the number of them at most, were lost with a connection, or their fate is
     * unknown.
     */
    BMCLINK_EVENT_INPUT_LOST = 12,
    /**
     * The number of bytes were overwritten before this reader or callback came to them; they
     * stood here.
     */
    BMCLINK_EVENT_LOST = 13,
    /**
     * The number of events were overwritten before this reader or callback came to them.
     */
    BMCLINK_EVENT_MISSED = 14,
} bmclink_event;

/**
 * What a console or reader has, as bmclink_event_queue_wait reports it: a sum of these.
 */
typedef enum bmclink_ready {
    /**
     * A read gets something: bytes, or the error that says why no more come. Reported when there
     * is something new, and again when a read has left something.
     */
    BMCLINK_READY_READABLE = 1,
    /**
     * The console's state changed: see bmclink_console_state.
     */
    BMCLINK_READY_STATE = 2,
    /**
     * The console takes input again, after a write timed out or was taken only in part.
     */
    BMCLINK_READY_WRITABLE = 4,
} bmclink_ready;

/**
 * What kind of value it is.
 */
typedef enum bmclink_value {
    /**
     * A whole number, or 0 and 1 for no and yes: bmclink_result_number.
     */
    BMCLINK_VALUE_NUMBER = 1,
    /**
     * A number with a fraction: bmclink_result_real.
     */
    BMCLINK_VALUE_REAL = 2,
    /**
     * A text in UTF-8: bmclink_result_text.
     */
    BMCLINK_VALUE_TEXT = 3,
    /**
     * Bytes: bmclink_result_bytes.
     */
    BMCLINK_VALUE_BYTES = 4,
} bmclink_value;

/**
 * What carries the bytes of a console, as functions of the caller's: its own transport only.
 * Waiting, readers, replay, states and retries are the console's.
 *
 * The functions are called one at a time, on threads of the engine that do nothing else: they may
 * block, which holds up this console and nothing else. Each start, also a failed one, is followed
 * by one stop before the next start and before the release. `user` is what was given to
 * bmclink_backend_options_new. None of them may throw or jump out.
 */
typedef struct bmclink_backend_options bmclink_backend_options;

/**
 * One managed BMC: at most one live IPMI session, opened when something is first asked of it and
 * shared by all commands and the console.
 */
typedef struct bmclink_bmc bmclink_bmc;

/**
 * One BMC: where it is, who logs in, and how. Values are checked by bmclink_bmc_open. The same
 * options can be used for many BMCs, with another host each.
 */
typedef struct bmclink_bmc_options bmclink_bmc_options;

/**
 * A management command and what it is given. The same one can be used for many BMCs, again and
 * again.
 */
typedef struct bmclink_command bmclink_command;

/**
 * The serial console of one BMC, by Serial over LAN. Bytes go through unchanged, all 256 values
 * of them.
 */
typedef struct bmclink_console bmclink_console;

/**
 * How a console is run. Values are checked by bmclink_console_open.
 */
typedef struct bmclink_console_options bmclink_console_options;

/**
 * A user name, a password and maybe a K_g: one value that many BMCs can share. The library's
 * copies of the secrets are zeroed when they are replaced or no longer used, and never printed.
 */
typedef struct bmclink_credentials bmclink_credentials;

/**
 * The threads that run sessions. A process has one, or as many as it likes.
 */
typedef struct bmclink_engine bmclink_engine;

/**
 * How an engine is made. Values are checked by bmclink_engine_new.
 */
typedef struct bmclink_engine_options bmclink_engine_options;

/**
 * Says which of many consoles have something, with one file descriptor for all of them.
 */
typedef struct bmclink_event_queue bmclink_event_queue;

/**
 * A command whose terminal is a console: ssh, telnet, docker attach, a vendor's tool. Values are
 * checked by bmclink_exec_open.
 *
 * It runs as the leader of a session and process group of its own, with a new pseudo-terminal as
 * its standard input, output and error, the environment of this process and what is added to it,
 * and no other descriptor but one for a password, where that is asked for.
 */
typedef struct bmclink_exec_options bmclink_exec_options;

/**
 * Many BMCs that are asked the same.
 */
typedef struct bmclink_fleet bmclink_fleet;

/**
 * One attached reader of a console: its own place in what the console printed.
 */
typedef struct bmclink_reader bmclink_reader;

/**
 * What a command gave: rows of named values. Which ones, is said of each command at
 * bmclink_command_new; a value the BMC does not give is not there.
 */
typedef struct bmclink_result bmclink_result;

/**
 * What comes of a fleet being asked something.
 */
typedef struct bmclink_run bmclink_run;

/**
 * Simulated BMCs on the loopback device, with threads of their own.
 */
typedef struct bmclink_sim bmclink_sim;

/**
 * Where a backend puts what comes of one start. It is the library's, and lives until the stop
 * function has returned; to be used from any thread. When that start is over its functions fail
 * with BMCLINK_ERR_CLOSED, and later with BMCLINK_ERR_MISUSE, and do nothing. None of them blocks.
 */
typedef struct bmclink_sink bmclink_sink;

/**
 * What was counted, at one moment.
 */
typedef struct bmclink_stats bmclink_stats;

/**
 * Takes one log message: `level` is one of BMCLINK_LOG_*, `target` names the part of the library,
 * `message` is one line. Both texts are valid during the call. `user` is what was given to
 * bmclink_set_log. It must not throw or jump out.
 */
typedef void (*bmclink_log_callback)(int32_t level,
                                     const char *target,
                                     const char *message,
                                     void *user);

/**
 * Takes one event of a console. What an argument is not used for is 0 or NULL.
 *
 * `event` is one of BMCLINK_EVENT_*; more may be added: do nothing for one that you do not know.
 * `state` is one of BMCLINK_STATE_*, for the events that change it: BMCLINK_EVENT_CONNECTING,
 * _CONNECTED and _DISCONNECTED. `reason` is one of BMCLINK_ERR_* for BMCLINK_EVENT_DISCONNECTED,
 * else 0; the details are then this thread's last error. `number` is what the event says of it.
 * `bytes` is valid during the call, `len` is 1 to 16384. `user` is what was given to
 * bmclink_console_set_callback. It must not throw or jump out.
 */
typedef void (*bmclink_console_callback)(int32_t event,
                                         int32_t state,
                                         int32_t reason,
                                         uint64_t number,
                                         const void *bytes,
                                         size_t len,
                                         void *user);

/**
 * Begins to connect: bmclink_sink_connected is to be called from here or later, from any thread.
 * Gives 0, or one of BMCLINK_ERR_* for a failed attempt.
 */
typedef int32_t (*bmclink_backend_start)(struct bmclink_sink *sink, void *user);

/**
 * Takes input, and says how many of the bytes; only called while it is connected. The rest is
 * offered again at once; after 0, not before bmclink_sink_writable. One of BMCLINK_ERR_* ends the
 * connection.
 */
typedef int64_t (*bmclink_backend_write)(const void *bytes, size_t len, void *user);

/**
 * Sends a break behind everything written before it. Gives 0 or one of BMCLINK_ERR_*, which goes
 * to whoever asked for it.
 */
typedef int32_t (*bmclink_backend_send_break)(void *user);

/**
 * The window has another size. Comes before a start when the size is known by then.
 */
typedef void (*bmclink_backend_resize)(uint16_t columns, uint16_t rows, void *user);

/**
 * Ends what was started, or is called last of all.
 */
typedef void (*bmclink_backend_stop)(void *user);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The library's version, such as "0.1.0": static text.
 */
const char *bmclink_version(void);

/**
 * The interface this library has, to compare with BMCLINK_ABI_VERSION, which is the one the
 * program was compiled with.
 */
int32_t bmclink_abi_version(void);

/**
 * 1 when the library was built with a feature, 0 when not or when there is no such feature.
 *
 * `name` is NUL-terminated. Features: "sim", the simulated BMC. A function of a missing feature
 * is there all the same and fails with BMCLINK_ERR_MISUSE.
 */
int32_t bmclink_has_feature(const char *name);

/**
 * Text of the last error of this thread: one line, for people, with stage and codes.
 *
 * Never NULL; empty when no call failed yet. Valid until the next call of this library fails in
 * this thread. Calls that work leave the last error alone. Never contains a password.
 */
const char *bmclink_last_error(void);

/**
 * What to try after the last error of this thread: one line, for people.
 *
 * Never NULL; empty when no call failed yet. Valid until the next call of this library fails in
 * this thread.
 */
const char *bmclink_last_error_advice(void);

/**
 * Code of the last error of this thread, one of BMCLINK_ERR_*; 0 when no call failed yet.
 */
int32_t bmclink_last_error_code(void);

/**
 * How far things had come at the last error of this thread: one of BMCLINK_STAGE_*.
 */
int32_t bmclink_last_error_stage(void);

/**
 * RMCP+ status code of the last error of this thread, 1 to 255: what the BMC said when it
 * refused a login (IPMI v2.0 table 13-15). 0 when it gave none.
 */
int32_t bmclink_last_error_status(void);

/**
 * Completion code of the last error of this thread, 1 to 255: what the BMC said when it refused
 * a command (IPMI v2.0 table 5-2). 0 when it gave none.
 */
int32_t bmclink_last_error_completion_code(void);

/**
 * A few words for a code: static text, never NULL. For more, see bmclink_last_error.
 */
const char *bmclink_error_text(int32_t code);

/**
 * Sends what the library logs to a callback, or nowhere again. By default it logs nowhere.
 *
 * This is one setting for the whole process: all engines and simulators of this library log to
 * the one callback set last. `level` is one of BMCLINK_LOG_*; with BMCLINK_LOG_OFF `callback` and
 * `user` are not looked at, else `callback` must not be NULL.
 *
 * The callback runs on a thread of the library's own, one message at a time. It may take its time
 * and call any function of this library; when it falls behind by 1024 messages, further ones are
 * dropped and their number is reported as a message. When this function returns, the callback set
 * before has returned from its last call, so that its `user` can be freed; so do not call it with
 * a lock held that the callback takes. (Called from inside the callback, it does not wait.)
 * Messages never contain passwords or keys.
 *
 * Fails with BMCLINK_ERR_MISUSE for an unknown level, with BMCLINK_ERR_BUSY in a Rust program
 * that has set a logger of its own, with BMCLINK_ERR_IO when there is no thread to be had.
 */
int32_t bmclink_set_log(int32_t level, bmclink_log_callback callback, void *user);

/**
 * Makes credentials.
 *
 * `user_name` has 0 to 16 bytes; none at all is the null user, which BMC options have to allow.
 * `password` has 0 to 20 bytes (16 for IPMI v1.5). `k_g`, the BMC key, has 1 to 20 bytes, or 0
 * for none, which is the usual case. None of them needs a NUL, and NUL bytes in K_g count.
 * Longer ones are refused with BMCLINK_ERR_MISUSE: nothing is cut silently. All is copied.
 *
 * To be freed with bmclink_credentials_free. Does not block.
 */
BMCLINK_MUST_USE
int32_t bmclink_credentials_new(const void *user_name,
                                size_t user_name_len,
                                const void *password,
                                size_t password_len,
                                const void *k_g,
                                size_t k_g_len,
                                struct bmclink_credentials **credentials);

/**
 * Replaces user name, password and K_g, for every BMC that has these credentials.
 *
 * Each of these BMCs logs in again at once, as after bmclink_bmc_reconfigure: its calls in flight
 * fail with BMCLINK_ERR_RECONFIGURED, its old session is closed in the background, and a console
 * that waits because a password was wrong is tried. An equal value changes nothing. Limits as for
 * bmclink_credentials_new; on an error the old value stays. Does not block.
 */
int32_t bmclink_credentials_update(struct bmclink_credentials *credentials,
                                   const void *user_name,
                                   size_t user_name_len,
                                   const void *password,
                                   size_t password_len,
                                   const void *k_g,
                                   size_t k_g_len);

/**
 * Frees the handle. BMCs and options that have the credentials keep them. NULL is fine.
 */
int32_t bmclink_credentials_free(struct bmclink_credentials *credentials);

/**
 * Makes engine options with every default. To be freed with bmclink_engine_options_free.
 */
BMCLINK_MUST_USE int32_t bmclink_engine_options_new(struct bmclink_engine_options **options);

/**
 * Sets how many threads run sessions, 1 to 64. Default: one per core, at most 4.
 */
int32_t bmclink_engine_options_set_shards(struct bmclink_engine_options *options, uint32_t shards);

/**
 * Sets how many BMCs share one UDP socket, 1 to 65536. Default 256.
 */
int32_t bmclink_engine_options_set_bmcs_per_socket(struct bmclink_engine_options *options,
                                                   uint32_t bmcs);

/**
 * Sets how many calls may wait for one thread of the engine, 1 to 1048576; the next one waits
 * itself. Default 4096.
 */
int32_t bmclink_engine_options_set_inbox_len(struct bmclink_engine_options *options, uint32_t len);

/**
 * Sets the receive buffer asked of the kernel per UDP socket, in bytes. Default 1 MiB; the
 * kernel may give less.
 */
int32_t bmclink_engine_options_set_receive_buffer_len(struct bmclink_engine_options *options,
                                                      uint32_t len);

/**
 * Sets the local address of the UDP sockets: an IPv4 or IPv6 address, NUL-terminated. NULL is
 * the default: the kernel's choice.
 */
int32_t bmclink_engine_options_set_local_address(struct bmclink_engine_options *options,
                                                 const char *address);

/**
 * Sets how many threads resolve names, at most, 1 to 64. They start when names wait and end after
 * ten idle seconds. Default 8: a name whose server is silent blocks one for half a minute.
 */
int32_t bmclink_engine_options_set_resolvers(struct bmclink_engine_options *options,
                                             uint32_t resolvers);

/**
 * Sets how many threads run callbacks at most, 1 to 1024. There are none without callbacks, and
 * one or two more than are busy; when so many callbacks block at once, others wait. Default 64.
 */
int32_t bmclink_engine_options_set_dispatchers_max(struct bmclink_engine_options *options,
                                                   uint32_t threads);

/**
 * Sets how many logins begin per second, over all threads, 1 to 1000000, or 0 for no limit.
 * Default 2000.
 */
int32_t bmclink_engine_options_set_login_rate(struct bmclink_engine_options *options,
                                              uint32_t logins);

/**
 * Sets how many logins may be under way at once, over all threads, 1 to 1000000. Default 1024. A
 * BMC that has not let us in within 3 s is not counted any more.
 */
int32_t bmclink_engine_options_set_logins_at_once(struct bmclink_engine_options *options,
                                                  uint32_t logins);

/**
 * Frees engine options. Engines made with them keep what they have. NULL is fine.
 */
int32_t bmclink_engine_options_free(struct bmclink_engine_options *options);

/**
 * Starts an engine: its threads, and nothing on the network.
 *
 * `options` may be NULL for every default. To be freed with bmclink_engine_free.
 *
 * Fails with BMCLINK_ERR_MISUSE for an option out of range, with BMCLINK_ERR_IO when the system
 * gives no thread or file descriptor.
 */
BMCLINK_MUST_USE
int32_t bmclink_engine_new(struct bmclink_engine_options *options,
                           struct bmclink_engine **engine);

/**
 * Closes every session at its BMC and ends the engine's threads, within three seconds. NULL is
 * fine.
 *
 * Blocks until that is done and callbacks that run have returned; one that takes two seconds more
 * is left to end by itself. May be called from inside a callback. Calls that wait in other threads
 * end with BMCLINK_ERR_SHUT_DOWN, and so do later calls on the handles of its BMCs and consoles,
 * which are still to be freed.
 */
int32_t bmclink_engine_free(struct bmclink_engine *engine);

/**
 * Makes BMC options with every default but the two that have none.
 *
 * `host` is a name, an IPv4 or an IPv6 address (link-local ones with '%' and a scope),
 * NUL-terminated, without a port. `credentials` may be freed afterwards; the options keep what
 * they need. To be freed with bmclink_bmc_options_free. Does not block, and looks nothing up.
 */
BMCLINK_MUST_USE
int32_t bmclink_bmc_options_new(const char *host,
                                struct bmclink_credentials *credentials,
                                struct bmclink_bmc_options **options);

/**
 * Sets another host: see bmclink_bmc_options_new.
 */
int32_t bmclink_bmc_options_set_host(struct bmclink_bmc_options *options, const char *host);

/**
 * Sets the UDP port, 1 to 65535. Default 623.
 */
int32_t bmclink_bmc_options_set_port(struct bmclink_bmc_options *options, uint16_t port);

/**
 * Sets other credentials: see bmclink_bmc_options_new.
 */
int32_t bmclink_bmc_options_set_credentials(struct bmclink_bmc_options *options,
                                            struct bmclink_credentials *credentials);

/**
 * Lets an empty user name log in: 0 no (default), else yes.
 */
int32_t bmclink_bmc_options_set_allow_null_user(struct bmclink_bmc_options *options, int32_t allow);

/**
 * Sets the cipher suites to try, best first, by IPMI's numbers. Default 17, then 3.
 *
 * `suites` has `len` numbers and is copied. Suites without integrity or encryption (such as 0
 * and 1) are used only when listed here.
 */
int32_t bmclink_bmc_options_set_cipher_suites(struct bmclink_bmc_options *options,
                                              const uint8_t *suites,
                                              size_t len);

/**
 * Sets the privilege level to work at, one of BMCLINK_PRIVILEGE_*. Default
 * BMCLINK_PRIVILEGE_HIGHEST. With any other, a BMC that grants less is an error.
 */
int32_t bmclink_bmc_options_set_privilege_level(struct bmclink_bmc_options *options,
                                                int32_t privilege);

/**
 * Sets how the BMC looks the user up, one of BMCLINK_USER_LOOKUP_*. Default by name alone.
 */
int32_t bmclink_bmc_options_set_user_lookup(struct bmclink_bmc_options *options,
                                            int32_t user_lookup);

/**
 * Sets which IPMI version to log in with, one of BMCLINK_IPMI_*. Default v2.0 only.
 */
int32_t bmclink_bmc_options_set_ipmi_version(struct bmclink_bmc_options *options, int32_t version);

/**
 * Sets the authentication types of IPMI v1.5, best first, each one of BMCLINK_AUTH_*. Default
 * MD5, then MD2.
 *
 * `types` has `len` numbers and is copied. Unused with v2.0.
 */
int32_t bmclink_bmc_options_set_auth_types(struct bmclink_bmc_options *options,
                                           const uint8_t *types,
                                           size_t len);

/**
 * Adds a workaround for this BMC by its name, NUL-terminated: the names of FreeIPMI's -W flags,
 * such as "intel20". An unknown one fails with BMCLINK_ERR_MISUSE and a text that lists all.
 * Most deviations of BMCs need no workaround.
 */
int32_t bmclink_bmc_options_add_quirk(struct bmclink_bmc_options *options, const char *quirk);

/**
 * Sets how many commands may be in flight at once, 1 to 8. Default 1: more than many BMCs can
 * take.
 */
int32_t bmclink_bmc_options_set_request_window(struct bmclink_bmc_options *options,
                                               uint32_t requests);

/**
 * Sets how often a login starts again when the BMC does not answer, 1 to 100. Default 5.
 */
int32_t bmclink_bmc_options_set_login_attempts(struct bmclink_bmc_options *options,
                                               uint32_t attempts);

/**
 * Sets how often a command is sent at most, 1 to 100. Default 5.
 */
int32_t bmclink_bmc_options_set_request_transmissions(struct bmclink_bmc_options *options,
                                                      uint32_t transmissions);

/**
 * Sets a waiting time of the session, one of BMCLINK_TIMING_*, in milliseconds.
 */
int32_t bmclink_bmc_options_set_timing_ms(struct bmclink_bmc_options *options,
                                          int32_t timing,
                                          uint32_t ms);

/**
 * Frees BMC options. BMCs opened with them keep what they have. NULL is fine.
 */
int32_t bmclink_bmc_options_free(struct bmclink_bmc_options *options);

/**
 * Opens a handle for one BMC. Nothing is sent until something is asked of it.
 *
 * To be freed with bmclink_bmc_free. Blocks for a moment at most.
 *
 * Fails with BMCLINK_ERR_MISUSE for options out of range, such as an xRC4 cipher suite.
 */
BMCLINK_MUST_USE
int32_t bmclink_bmc_open(struct bmclink_engine *engine,
                         struct bmclink_bmc_options *options,
                         struct bmclink_bmc **bmc);

/**
 * Changes where the BMC is, who logs in, and how. All handles of this BMC see it.
 *
 * What touches the session (host, port, credentials, cipher suites, privilege level, version,
 * quirks) ends it: calls in flight fail with BMCLINK_ERR_RECONFIGURED, the session is closed in
 * the background, and when there was one the new one is begun at once. Nothing of the old one
 * reaches anybody any more. A login that is under way is given up at whatever step it is, and
 * whoever waits for it gets the new one's result. Waiting times and the request window are those
 * of the next session. Equal options change nothing.
 *
 * Does not wait for the new session. Fails with BMCLINK_ERR_MISUSE for options out of range.
 */
int32_t bmclink_bmc_reconfigure(struct bmclink_bmc *bmc, struct bmclink_bmc_options *options);

/**
 * Frees the handle. NULL is fine.
 *
 * Does not block: when the BMC's last console is freed too, its session is closed in the
 * background. Calls under way in other threads go on to their end.
 */
int32_t bmclink_bmc_free(struct bmclink_bmc *bmc);

/**
 * Logs in unless a session is up, and blocks until that is known to have worked or not.
 *
 * When `timeout_ms` is over, and nobody else wants the session, the attempt is given up. Errors
 * name the cause: BMCLINK_ERR_USER_NAME, _PASSWORD, _KG, _PRIVILEGE, _CIPHER_SUITE,
 * _NO_FREE_SESSION, _UNREACHABLE, _CONNECTION_REFUSED, _NAME_NOT_FOUND, _INCOMPATIBLE,
 * _PEER_MISBEHAVED; BMCLINK_ERR_TIMED_OUT when the time was over while the BMC was still
 * answering.
 */
int32_t bmclink_bmc_connect(struct bmclink_bmc *bmc, int64_t timeout_ms);

/**
 * Sends any command and blocks until its response is there. Logs in first when no session is up.
 *
 * `net_fn` is even, 0 to 3Eh; `lun` is 0 to 3; `data` has `data_len` bytes, 0 to 240.
 * A response with a completion code other than 0 is a success of this call: look at
 * `completion_code`. What follows the completion code is copied to `response`, at most `capacity`
 * bytes of it; `response_len` is how long it was, also when that is more. 255 bytes are always
 * enough for IPMI's own commands. `response` may be NULL when `capacity` is 0.
 *
 * Commands known to act (chassis control, resets, writes that add) are sent again at most once
 * when no answer comes and then fail with BMCLINK_ERR_OUTCOME_UNKNOWN. All others are repeated
 * until `timeout_ms`, then BMCLINK_ERR_TIMED_OUT. Also fails as bmclink_bmc_connect does.
 */
int32_t bmclink_bmc_raw(struct bmclink_bmc *bmc,
                        uint8_t net_fn,
                        uint8_t lun,
                        uint8_t cmd,
                        const void *data,
                        size_t data_len,
                        int64_t timeout_ms,
                        uint8_t *completion_code,
                        void *response,
                        size_t capacity,
                        size_t *response_len);

/**
 * 1 when a session is up, 0 when not. Does not block.
 */
int32_t bmclink_bmc_is_connected(struct bmclink_bmc *bmc);

/**
 * The cipher suite of the session that is or was up last, by IPMI's number, 0 or more. Does not
 * block.
 *
 * Fails with BMCLINK_ERR_NOT_CONNECTED when there never was a session, with
 * BMCLINK_ERR_INCOMPATIBLE when it was one of IPMI v1.5.
 */
int32_t bmclink_bmc_cipher_suite(struct bmclink_bmc *bmc);

/**
 * The privilege level of the session that is or was up last, one of BMCLINK_PRIVILEGE_*. Does
 * not block.
 *
 * Fails with BMCLINK_ERR_NOT_CONNECTED when there never was a session.
 */
int32_t bmclink_bmc_privilege_level(struct bmclink_bmc *bmc);

/**
 * How many logins succeeded. Does not block.
 */
int64_t bmclink_bmc_logins(struct bmclink_bmc *bmc);

/**
 * The address the BMC's name was resolved to, and its port. Does not block.
 *
 * `address` gets a NUL-terminated text and has room for `capacity` bytes; BMCLINK_ADDRESS_MAX
 * are always enough. Fails with BMCLINK_ERR_NOT_CONNECTED as long as it is not known.
 */
int32_t bmclink_bmc_address(struct bmclink_bmc *bmc,
                            char *address,
                            size_t capacity,
                            uint16_t *port);

/**
 * Why the last session or login ended, as an error code and as this thread's last error; 0 when
 * none has ended since the last login. Does not block.
 */
int32_t bmclink_bmc_reason(struct bmclink_bmc *bmc);

/**
 * Makes console options with every default. To be freed with bmclink_console_options_free.
 */
BMCLINK_MUST_USE int32_t bmclink_console_options_new(struct bmclink_console_options **options);

/**
 * Sets the SOL instance, 1 to 15. Default 1.
 */
int32_t bmclink_console_options_set_instance(struct bmclink_console_options *options,
                                             uint8_t instance);

/**
 * Sets what to do when another session owns SOL, one of BMCLINK_TAKE_OVER_*. Default
 * BMCLINK_TAKE_OVER_STALE.
 */
int32_t bmclink_console_options_set_take_over(struct bmclink_console_options *options,
                                              int32_t take_over);

/**
 * Accepts SOL in clear from a BMC that refuses to encrypt it: 0 no (default), else yes.
 */
int32_t bmclink_console_options_set_allow_clear(struct bmclink_console_options *options,
                                                int32_t allow);

/**
 * Sets how many bytes of the past are kept for readers, 1 KiB to 1 GiB; memory is taken as it is
 * needed. A reader that falls behind by more loses the oldest bytes. Default 64 KiB.
 */
int32_t bmclink_console_options_set_replay_len(struct bmclink_console_options *options, size_t len);

/**
 * Sets how many bytes of input may wait for the BMC, 1 to 16 MiB. Default 16 KiB.
 */
int32_t bmclink_console_options_set_input_len(struct bmclink_console_options *options, size_t len);

/**
 * Sets how long input is collected to fill a packet, in milliseconds, at most 1000. Default 0:
 * not at all.
 */
int32_t bmclink_console_options_set_accumulate_ms(struct bmclink_console_options *options,
                                                  uint32_t accumulate_ms);

/**
 * Sets how long an acknowledge is waited for before a packet is sent again, in milliseconds, each
 * 10 to 60000: the first one, and the shortest and longest once round trips were measured.
 * Default 500, 50, 1000.
 */
int32_t bmclink_console_options_set_retransmit_ms(struct bmclink_console_options *options,
                                                  uint32_t first_ms,
                                                  uint32_t min_ms,
                                                  uint32_t max_ms);

/**
 * Sends an empty packet after so many milliseconds without input, 1000 to 3600000. Default 0:
 * never. For BMCs that cut idle consoles; the session has keepalives of its own.
 */
int32_t bmclink_console_options_set_keepalive_ms(struct bmclink_console_options *options,
                                                 uint32_t keepalive_ms);

/**
 * Sets whether the console is connected again by itself, one of BMCLINK_KEEP_*. With
 * BMCLINK_KEEP_WHILE_ATTACHED it stays `linger_ms` milliseconds longer than the last reader; else
 * that is not looked at. Default BMCLINK_KEEP_ON_REQUEST.
 *
 * A BMC has at most one console that is kept or connected: bmclink_console_open of another one
 * fails with BMCLINK_ERR_BUSY.
 */
int32_t bmclink_console_options_set_keep(struct bmclink_console_options *options,
                                         int32_t keep,
                                         uint32_t linger_ms);

/**
 * Sets one of the waiting times of a console that is kept, BMCLINK_RETRY_*, in milliseconds.
 *
 * Being attached to, bmclink_console_connect, another configuration and other credentials have it
 * tried at once, whatever the times say.
 */
int32_t bmclink_console_options_set_retry_ms(struct bmclink_console_options *options,
                                             int32_t retry,
                                             uint32_t retry_ms);

/**
 * Has everything that happens at the console written to a file; `path` is NUL-terminated, NULL is
 * for no file (the default).
 *
 * It gets the bytes as they are, with the time (UTC) before each line, and a line in dashes for
 * everything else that happens. It is appended to, made with mode 0600, and open as long as the
 * console is: one file descriptor each. Before it would get longer than `size_max` bytes, 4096 or
 * more, it is set aside as `path`.1, which becomes .2 the next time, and so on up to `keep`, at
 * most 1000; with a `size_max` of 0 it grows for ever.
 *
 * A full disk or a missing folder never stops the console: see bmclink_console_log_error.
 */
int32_t bmclink_console_options_set_log_file(struct bmclink_console_options *options,
                                             const char *path,
                                             uint64_t size_max,
                                             uint32_t keep);

/**
 * Frees console options. Consoles opened with them keep what they have. NULL is fine.
 */
int32_t bmclink_console_options_free(struct bmclink_console_options *options);

/**
 * Opens a handle for the console of a BMC. Nothing is sent until bmclink_console_connect.
 *
 * `options` may be NULL for every default. The console keeps the BMC: its handle may be freed
 * first. To be freed with bmclink_console_free. Does not block.
 *
 * Fails with BMCLINK_ERR_MISUSE for options out of range.
 */
BMCLINK_MUST_USE
int32_t bmclink_console_open(struct bmclink_bmc *bmc,
                             struct bmclink_console_options *options,
                             struct bmclink_console **console);

/**
 * Runs the console in another way from now on; `options` may be NULL for every default.
 *
 * What is about SOL itself (instance, take-over, clear, retransmission, keepalive) closes SOL and
 * opens it again; readers are told and wait meanwhile. The rest breaks nothing, and neither do
 * equal options. A console that is kept and not connected is tried at once; one that is kept no
 * more is not tried again.
 *
 * Does not wait for that. Fails with BMCLINK_ERR_MISUSE for options out of range, with
 * BMCLINK_ERR_CLOSED when the console is closed, with BMCLINK_ERR_BUSY when it is to be kept and
 * the BMC has another such console.
 */
int32_t bmclink_console_reconfigure(struct bmclink_console *console,
                                    struct bmclink_console_options *options);

/**
 * Closes the console, if it is not closed yet, and frees the handle. NULL is fine.
 *
 * SOL is deactivated in the background. Calls that wait on the console in other threads end with
 * BMCLINK_ERR_CLOSED. Its readers are still to be freed; they first get what is left. Does not
 * block, but for a callback of this console that runs in another thread: see
 * bmclink_console_set_callback.
 */
int32_t bmclink_console_free(struct bmclink_console *console);

/**
 * Connects, logging in first when no session is up, and blocks until SOL is active or is known
 * not to become so. Returns at once when it is connected already.
 *
 * When `timeout_ms` is over, and no other thread waits for it, the attempt is given up. After a
 * loss, call this again: the same console goes on, its readers stay attached.
 *
 * Besides the errors of bmclink_bmc_connect: BMCLINK_ERR_SOL_DISABLED, _SOL_IN_USE,
 * _SOL_REFUSED, _INCOMPATIBLE (a v1.5 session has no console), _BUSY (another console of the
 * same BMC handle is connected) and _CLOSED.
 */
int32_t bmclink_console_connect(struct bmclink_console *console, int64_t timeout_ms);

/**
 * Begins to connect, logging in first when no session is up, and does not wait for it.
 *
 * How it went is told by bmclink_console_state and bmclink_console_reason, by an event queue or a
 * callback: BMCLINK_STATE_CONNECTED, or BMCLINK_STATE_UNCONNECTED again and why. Blocks only while
 * very many calls wait for the engine: see bmclink_engine_options_set_inbox_len.
 */
int32_t bmclink_console_begin_connect(struct bmclink_console *console);

/**
 * Copies what the console printed to `buffer`, and gives how many bytes: at least one, at most
 * `capacity`. Blocks until `timeout_ms` for it, then BMCLINK_ERR_TIMED_OUT.
 *
 * This is the console's own reader, attached since it was opened. Threads that call this on the
 * same console take turns; for each to see every byte, see bmclink_reader_open.
 *
 * Waits while the console was never connected or is being connected. After a loss, gives what is
 * left and then fails with the reason (BMCLINK_ERR_LOST and others), every time until the console
 * is connected again. After a close, gives what is left and then BMCLINK_ERR_CLOSED. Gives 0 only
 * when `capacity` is 0.
 */
BMCLINK_MUST_USE
int64_t bmclink_console_read(struct bmclink_console *console,
                             void *buffer,
                             size_t capacity,
                             int64_t timeout_ms);

/**
 * A file descriptor that is readable while bmclink_console_read would not block: there are bytes,
 * or there is a reason why there are none. For poll, epoll and event loops. It may stay readable
 * for a moment after a read took the last of them: read with a timeout of 0.
 *
 * It is made when it is first asked for and closed when the console is freed; it is not to be
 * closed, read from or written to. For many consoles an event queue needs one descriptor for all
 * of them. Fails with BMCLINK_ERR_IO when the system gives none. Does not block.
 */
int32_t bmclink_console_fd(struct bmclink_console *console);

/**
 * Takes input for the managed system, and gives how many of the `len` bytes: all that there is
 * room for, at least one. Blocks until `timeout_ms` while there is no room at all, then
 * BMCLINK_ERR_TIMED_OUT, and nothing was taken.
 *
 * Input is taken only while the console is connected, else BMCLINK_ERR_NOT_CONNECTED,
 * BMCLINK_ERR_LOST or BMCLINK_ERR_CLOSED. What is taken is sent in order, each byte once;
 * bmclink_console_drain tells when the BMC has it. What a lost connection leaves behind is counted
 * (BMCLINK_COUNTER_INPUT_LOST) and never sent later. Gives 0 only when `len` is 0.
 */
BMCLINK_MUST_USE
int64_t bmclink_console_write(struct bmclink_console *console,
                              const void *bytes,
                              size_t len,
                              int64_t timeout_ms);

/**
 * Blocks until the BMC has acknowledged everything that was written, or until `timeout_ms`, then
 * BMCLINK_ERR_TIMED_OUT. Fails as bmclink_console_write does when the console is not connected.
 */
int32_t bmclink_console_drain(struct bmclink_console *console, int64_t timeout_ms);

/**
 * Sends a break behind everything written before it, and blocks until the BMC has acknowledged
 * it. Fails as bmclink_console_drain does; a break that timed out may still be sent.
 */
int32_t bmclink_console_send_break(struct bmclink_console *console, int64_t timeout_ms);

/**
 * Where the console is in its life: one of BMCLINK_STATE_*. Does not block.
 */
int32_t bmclink_console_state(struct bmclink_console *console);

/**
 * Blocks until the state is another one than `seen`, and gives it: one of BMCLINK_STATE_*.
 *
 * Fails with BMCLINK_ERR_TIMED_OUT when `timeout_ms` is over, with BMCLINK_ERR_CLOSED when the
 * console is closed and so has no other state to come.
 */
int32_t bmclink_console_wait_state(struct bmclink_console *console,
                                   int32_t seen,
                                   int64_t timeout_ms);

/**
 * Why the console is not connected, as an error code and as this thread's last error; 0 when it
 * is connected, or was never tried to be. Does not block.
 */
int32_t bmclink_console_reason(struct bmclink_console *console);

/**
 * What the disk said last of the console's log file, as an error code and as this thread's last
 * error; 0 when it takes text, or when there is no log file. What is not written is counted
 * (BMCLINK_COUNTER_LOG_LOST), and marked in the file once that takes text again, which is tried
 * every second. Does not block.
 */
int32_t bmclink_console_log_error(struct bmclink_console *console);

/**
 * Has the console's log file opened again before anything more is written to it: for programs that
 * move it away. Does nothing without one. Does not block.
 */
int32_t bmclink_console_reopen_log(struct bmclink_console *console);

/**
 * State, since when, why, and when it is tried again, all at one moment. Does not block.
 *
 * `state` is one of BMCLINK_STATE_*. `reason` is the error code that bmclink_console_reason would
 * give; when it is not 0, stage, codes and text are this thread's last error. `since_ms` is for
 * how long it has been in that state, `next_try_ms` in how long it is tried again: UINT64_MAX when
 * that is not planned. Both are in milliseconds.
 */
int32_t bmclink_console_why(struct bmclink_console *console,
                            int32_t *state,
                            int32_t *reason,
                            uint64_t *since_ms,
                            uint64_t *next_try_ms);

/**
 * Gives one of the console's counters, BMCLINK_COUNTER_*, in `value`. Does not block.
 */
int32_t bmclink_console_counter(struct bmclink_console *console, int32_t counter, uint64_t *value);

/**
 * Deactivates SOL and blocks until the BMC has done so, at most `timeout_ms` and one second.
 *
 * The session under it lives on for commands and later consoles. All calls that wait on this
 * console end with BMCLINK_ERR_CLOSED; readers first get what is left. The console cannot be
 * connected again; its handle is still to be freed. Also fine when it is not connected.
 */
int32_t bmclink_console_close(struct bmclink_console *console, int64_t timeout_ms);

/**
 * Attaches a reader to a console. Each reader sees every byte; a slow one loses only its own
 * oldest bytes and never slows the console or another reader.
 *
 * With `replay` other than 0 it first gets what is kept of the past, with 0 only what comes from
 * now on. To be freed with bmclink_reader_free, also when the console is freed first. Does not
 * block.
 */
BMCLINK_MUST_USE
int32_t bmclink_reader_open(struct bmclink_console *console,
                            int32_t replay,
                            struct bmclink_reader **reader);

/**
 * Reads as bmclink_console_read does, from this reader's own place.
 */
BMCLINK_MUST_USE
int64_t bmclink_reader_read(struct bmclink_reader *reader,
                            void *buffer,
                            size_t capacity,
                            int64_t timeout_ms);

/**
 * Gives what is next for this reader, in order: bytes up to where something happened, or what
 * happened there. Blocks until `timeout_ms` for something, then BMCLINK_ERR_TIMED_OUT.
 *
 * `event` is one of BMCLINK_EVENT_*; more may be added: do nothing for one that you do not know.
 * For BMCLINK_EVENT_DATA the bytes are copied to the start of `buffer`, at most `capacity`, and
 * their count is the result, at least 1; for any other the result is 0. `number` is what the event
 * says of it, else 0. bmclink_reader_event_epoch and its companions say more, until the next call.
 *
 * A loss is an event here and no failure: this waits for the next connection. Only behind the last
 * event of a console that was closed it fails with BMCLINK_ERR_CLOSED. `capacity` is 1 or more.
 * Of events the last 64 are kept for those who are behind.
 *
 * bmclink_reader_read goes over events, and the two can be mixed. What bmclink_reader_fd and event
 * queues take for readable is what the last one of the two would give at once; before the first
 * call that is bytes, so call this before you wait.
 */
BMCLINK_MUST_USE
int64_t bmclink_reader_next(struct bmclink_reader *reader,
                            void *buffer,
                            size_t capacity,
                            int64_t timeout_ms,
                            int32_t *event,
                            uint64_t *number);

/**
 * How often the console was connected when what bmclink_reader_next gave last happened: which
 * connection it belongs to. 0 before the first. Does not block.
 */
int64_t bmclink_reader_event_epoch(struct bmclink_reader *reader);

/**
 * How long ago, in milliseconds, what bmclink_reader_next gave last happened; of bytes, how long
 * ago the first one was received. Fails with BMCLINK_ERR_MISUSE before there was any. Does not
 * block.
 */
int64_t bmclink_reader_event_age_ms(struct bmclink_reader *reader);

/**
 * The reason of the BMCLINK_EVENT_DISCONNECTED that bmclink_reader_next gave last, as an error
 * code and as this thread's last error; 0 when what it gave last was anything else. Does not
 * block.
 */
int32_t bmclink_reader_event_reason(struct bmclink_reader *reader);

/**
 * A file descriptor that is readable while bmclink_reader_read would not block; see
 * bmclink_console_fd.
 */
int32_t bmclink_reader_fd(struct bmclink_reader *reader);

/**
 * How many bytes were overwritten before this reader came to them, up to its last read. Does not
 * block.
 */
int64_t bmclink_reader_lost(struct bmclink_reader *reader);

/**
 * Detaches the reader and frees the handle. NULL is fine. Does not block.
 *
 * Reads that wait on it in other threads end with BMCLINK_ERR_CLOSED.
 */
int32_t bmclink_reader_free(struct bmclink_reader *reader);

/**
 * Has a callback told of everything that happens at a console, in the place of the one set
 * before. NULL ends that one; `user` and `replay` are not looked at then.
 *
 * With `replay` other than 0 it first gets what is kept of the past, with 0 only what comes from
 * now on. Calls come in order and one at a time, on threads of the engine that do nothing else. A
 * callback may take its time and call any function of this library, also those that block: it may
 * connect, close and free its console, free the engine, and set another callback. It holds up
 * nothing but itself: what is overwritten meanwhile is told as BMCLINK_EVENT_LOST and
 * BMCLINK_EVENT_MISSED. Threads: see bmclink_engine_options_set_dispatchers_max.
 *
 * Blocks while the callback set before runs in another thread. When this function returns, that
 * one has returned from its last call, so that its `user` can be freed; so do not call it, or
 * bmclink_console_free, with a lock held that the callback takes. (Called from inside the
 * callback, it does not wait; and two callbacks that end each other do not wait for each other.)
 *
 * Fails with BMCLINK_ERR_SHUT_DOWN when the engine was freed, with BMCLINK_ERR_IO when there is no
 * thread to be had; there is no callback then.
 */
int32_t bmclink_console_set_callback(struct bmclink_console *console,
                                     int32_t replay,
                                     bmclink_console_callback callback,
                                     void *user);

/**
 * Makes exec options for a command, a path or a name that is looked up in PATH, with no argument
 * and every default. To be freed with bmclink_exec_options_free.
 */
BMCLINK_MUST_USE
int32_t bmclink_exec_options_new(const char *command,
                                 struct bmclink_exec_options **options);

/**
 * Adds an argument. Everybody on the machine can see it: no secrets.
 */
int32_t bmclink_exec_options_add_argument(struct bmclink_exec_options *options,
                                          const char *argument);

/**
 * Adds a variable to the environment.
 */
int32_t bmclink_exec_options_add_variable(struct bmclink_exec_options *options,
                                          const char *name,
                                          const char *value);

/**
 * Sets where it runs. Default: where this process does.
 */
int32_t bmclink_exec_options_set_directory(struct bmclink_exec_options *options,
                                           const char *directory);

/**
 * Has it count as connected when it has printed these 1 to 4096 bytes, and as failed when it has
 * not within so many milliseconds, 1 to 3600000. Default, and with 0 bytes: it is connected when
 * it runs.
 */
int32_t bmclink_exec_options_set_signature(struct bmclink_exec_options *options,
                                           const void *bytes,
                                           size_t len,
                                           uint32_t within_ms);

/**
 * Sets the size of its window, until bmclink_console_resize says otherwise. Default 80 and 24.
 */
int32_t bmclink_exec_options_set_window(struct bmclink_exec_options *options,
                                        uint16_t columns,
                                        uint16_t rows);

/**
 * Gives it a terminal with echo, lines, signals by keys and a carriage return before each newline,
 * as a plain shell wants it: 0 no (default), else yes. Without, the terminal is raw: all 256
 * values of a byte go through unchanged, both ways.
 */
int32_t bmclink_exec_options_set_cooked(struct bmclink_exec_options *options, int32_t cooked);

/**
 * Has credentials passed to it: the user name and the password in variables of the environment
 * (NULL for none; processes of the same user and of root can see them), the password and a
 * newline by a pipe that is the descriptor `password_fd` of the command, 3 to 255 (-1 for none).
 * At least one of the three is needed. bmclink_credentials_update starts the command anew.
 */
int32_t bmclink_exec_options_set_credentials(struct bmclink_exec_options *options,
                                             struct bmclink_credentials *credentials,
                                             const char *user_name_variable,
                                             const char *password_variable,
                                             int32_t password_fd);

/**
 * Frees exec options. Consoles opened with them keep what they have. NULL is fine.
 */
int32_t bmclink_exec_options_free(struct bmclink_exec_options *options);

/**
 * Opens a console that is the terminal of a command, which runs while the console is to be
 * connected. All functions for consoles work with it as with one of SOL, but for
 * bmclink_console_send_break, which fails with BMCLINK_ERR_INCOMPATIBLE.
 *
 * When the command ends, the console's reason says how, as in "cat exited with status 3". When the
 * console is closed, the command's process group is told to hang up and killed half a second
 * later, and nothing is left of it. `console_options` may be NULL for every default. To be freed
 * with bmclink_console_free. Does not block.
 *
 * Fails with BMCLINK_ERR_MISUSE for options out of range, with BMCLINK_ERR_IO when the system
 * gives no thread. That there is no such command is what bmclink_console_connect fails with.
 */
BMCLINK_MUST_USE
int32_t bmclink_exec_open(struct bmclink_engine *engine,
                          struct bmclink_exec_options *exec_options,
                          struct bmclink_console_options *console_options,
                          struct bmclink_console **console);

/**
 * Has a console run another command from now on: the one it has is ended, and the new one started
 * at once if the console was connected or waits to be tried again. Equal values change nothing.
 * Does not wait for it.
 *
 * Fails with BMCLINK_ERR_MISUSE for options out of range and for what is not an exec console, with
 * BMCLINK_ERR_CLOSED for one that is closed.
 */
int32_t bmclink_console_reconfigure_exec(struct bmclink_console *console,
                                         struct bmclink_exec_options *exec_options);

/**
 * Tells what is behind a console that its window has another size, now and when it is started
 * again. A command gets SIGWINCH. Does not wait for it.
 *
 * Fails with BMCLINK_ERR_MISUSE for a console of SOL, which has no window, and without columns or
 * rows; with BMCLINK_ERR_CLOSED for one that is closed.
 */
int32_t bmclink_console_resize(struct bmclink_console *console, uint16_t columns, uint16_t rows);

/**
 * Makes backend options without functions. `user` is given to each of them. To be freed with
 * bmclink_backend_options_free.
 */
BMCLINK_MUST_USE
int32_t bmclink_backend_options_new(void *user,
                                    struct bmclink_backend_options **options);

/**
 * Sets what begins to connect. Needed.
 */
int32_t bmclink_backend_options_set_start(struct bmclink_backend_options *options,
                                          bmclink_backend_start start);

/**
 * Sets what takes input. Needed.
 */
int32_t bmclink_backend_options_set_write(struct bmclink_backend_options *options,
                                          bmclink_backend_write write);

/**
 * Sets what sends a break. Without, that fails with BMCLINK_ERR_INCOMPATIBLE.
 */
int32_t bmclink_backend_options_set_send_break(struct bmclink_backend_options *options,
                                               bmclink_backend_send_break send_break);

/**
 * Sets what is told of the window's size.
 */
int32_t bmclink_backend_options_set_resize(struct bmclink_backend_options *options,
                                           bmclink_backend_resize resize);

/**
 * Sets what ends what was started. Needed.
 */
int32_t bmclink_backend_options_set_stop(struct bmclink_backend_options *options,
                                         bmclink_backend_stop stop);

/**
 * Sets what is called last of all, once for each console that was opened: `user` is not used for
 * that console any more.
 */
int32_t bmclink_backend_options_set_release(struct bmclink_backend_options *options,
                                            bmclink_backend_stop release);

/**
 * Frees backend options. Consoles opened with them keep what they have. NULL is fine.
 */
int32_t bmclink_backend_options_free(struct bmclink_backend_options *options);

/**
 * Opens a console whose bytes the functions carry. All functions for consoles work with it as
 * with one of SOL. `console_options` may be NULL for every default. To be freed with
 * bmclink_console_free. Does not block.
 *
 * Fails with BMCLINK_ERR_MISUSE without the functions that are needed and for options out of
 * range, with BMCLINK_ERR_IO when the system gives no thread; nothing is called then.
 */
BMCLINK_MUST_USE
int32_t bmclink_backend_open(struct bmclink_engine *engine,
                             struct bmclink_backend_options *backend_options,
                             struct bmclink_console_options *console_options,
                             struct bmclink_console **console);

/**
 * Says that the console is connected.
 */
int32_t bmclink_sink_connected(struct bmclink_sink *sink);

/**
 * Says what the console printed.
 */
int32_t bmclink_sink_bytes(struct bmclink_sink *sink, const void *bytes, size_t len);

/**
 * Says that there is room again, after the write function took nothing.
 */
int32_t bmclink_sink_writable(struct bmclink_sink *sink);

/**
 * Says that the connection is over, or that the attempt failed: one of BMCLINK_ERR_*, on which it
 * depends when the console is tried again, and a line of text, or NULL for that of the code. The
 * stop function is called next.
 */
int32_t bmclink_sink_ended(struct bmclink_sink *sink, int32_t code, const char *text);

/**
 * Makes an empty event queue. To be freed with bmclink_event_queue_free. Does not block.
 *
 * Fails with BMCLINK_ERR_IO when the system gives no file descriptor.
 */
BMCLINK_MUST_USE int32_t bmclink_event_queue_new(struct bmclink_event_queue **queue);

/**
 * Adds a console of any engine. Reports of it carry `key`, a number of the caller's choice, and
 * any of BMCLINK_READY_*; BMCLINK_READY_READABLE is about bmclink_console_read. A console that has
 * something to read is reported at once. Does not block.
 *
 * A console that is freed leaves the queue by itself. Fails with BMCLINK_ERR_MISUSE when it is in
 * this queue already.
 */
int32_t bmclink_event_queue_add_console(struct bmclink_event_queue *queue,
                                        struct bmclink_console *console,
                                        uint64_t key);

/**
 * Adds a reader of any console, to be reported with `key` and BMCLINK_READY_READABLE; see
 * bmclink_event_queue_add_console.
 */
int32_t bmclink_event_queue_add_reader(struct bmclink_event_queue *queue,
                                       struct bmclink_reader *reader,
                                       uint64_t key);

/**
 * Takes a console out. Waits that begin later do not report it. Fails with BMCLINK_ERR_MISUSE when
 * it is not in this queue. Does not block.
 */
int32_t bmclink_event_queue_remove_console(struct bmclink_event_queue *queue,
                                           struct bmclink_console *console);

/**
 * Takes a reader out, as bmclink_event_queue_remove_console does.
 */
int32_t bmclink_event_queue_remove_reader(struct bmclink_event_queue *queue,
                                          struct bmclink_reader *reader);

/**
 * Writes what has something to `keys` and `events`, which have room for `capacity` entries each,
 * and gives how many these are: at least one. Blocks until `timeout_ms` for it, then
 * BMCLINK_ERR_TIMED_OUT; 0 only looks.
 *
 * The cost depends on how many are reported, not on how many were added. Each report is made
 * once: of several threads that wait, each goes to one. A loop that reads once per report gets
 * everything, with a buffer of any size. An entry may have been read, or freed, by another thread
 * meanwhile: read with a timeout of 0.
 *
 * Fails with BMCLINK_ERR_CLOSED when the queue is freed meanwhile.
 */
BMCLINK_MUST_USE
int64_t bmclink_event_queue_wait(struct bmclink_event_queue *queue,
                                 uint64_t *keys,
                                 int32_t *events,
                                 size_t capacity,
                                 int64_t timeout_ms);

/**
 * The queue's file descriptor: readable while bmclink_event_queue_wait would give something at
 * once. For poll, epoll and event loops.
 *
 * It may stay readable for a moment after a wait took the last report: a wait of 0 gives
 * BMCLINK_ERR_TIMED_OUT then, and nothing is to be done.
 *
 * It is the queue's until the queue is freed; it is not to be closed, read from or written to.
 */
int32_t bmclink_event_queue_fd(struct bmclink_event_queue *queue);

/**
 * Frees the queue. What was added stays as it is. NULL is fine. Does not block.
 *
 * Waits in other threads end with BMCLINK_ERR_CLOSED, and the file descriptor is closed.
 */
int32_t bmclink_event_queue_free(struct bmclink_event_queue *queue);

/**
 * Takes a snapshot of what an engine counted since it was made. To be freed with
 * bmclink_stats_free.
 *
 * `shard` is the number of one of its threads, from 0, or -1 for all of them together. Blocks for
 * one turn of each thread's loop; fails with BMCLINK_ERR_TIMED_OUT when one takes two seconds,
 * with BMCLINK_ERR_MISUSE for a thread it does not have.
 */
BMCLINK_MUST_USE
int32_t bmclink_engine_stats(struct bmclink_engine *engine,
                             int32_t shard,
                             struct bmclink_stats **stats);

/**
 * Takes a snapshot of what was counted of a BMC since it was opened, over all its sessions. To be
 * freed with bmclink_stats_free. Blocks for one turn of an engine's loop; fails with
 * BMCLINK_ERR_TIMED_OUT when that takes two seconds.
 */
BMCLINK_MUST_USE int32_t bmclink_bmc_stats(struct bmclink_bmc *bmc, struct bmclink_stats **stats);

/**
 * Gives one of the numbers, BMCLINK_STAT_*, in `value`. Does not block. Fails with
 * BMCLINK_ERR_MISUSE when the snapshot does not have it, and writes nothing then.
 */
int32_t bmclink_stats_value(struct bmclink_stats *stats, int32_t stat, uint64_t *value);

/**
 * The name of one of BMCLINK_STAT_*, like "logins_failed": static, NULL for a number that is none.
 * Counting up from 1 until NULL gives them all.
 */
const char *bmclink_stat_name(int32_t stat);

/**
 * Frees a snapshot. NULL is fine.
 */
int32_t bmclink_stats_free(struct bmclink_stats *stats);

/**
 * Makes a command by its name. To be freed with bmclink_command_free. Does not block.
 *
 * Names, what each takes (in brackets when it can be left out), and what it gives:
 *
 * - raw: net_fn, cmd, [lun], [data], [channel], [address], [transit_channel], [transit_address]
 *   -> completion_code, data (bytes). See bmclink_bmc_raw. With an address it goes to that
 *   controller behind the BMC on the channel (0), if there is a transit address by way of that.
 * - device_id -> device_id, device_revision, provides_device_sdrs, busy, firmware_revision,
 *   ipmi_version (texts), additional_device_support, manufacturer_id, product_id,
 *   auxiliary_firmware_revision (bytes).
 * - system_guid -> guid (16 bytes as sent).
 * - self_test -> result ("passed", "not implemented", "corrupted", "hardware error", "other"),
 *   detail.
 * - cold_reset, warm_reset. Of the BMC, which ends all sessions.
 * - chassis_status -> power_on, power_overload, power_interlock, power_fault,
 *   power_control_fault, restore_policy ("off", "previous", "on"), last_power_event, intrusion,
 *   front_panel_lockout, drive_fault, cooling_fault, identify ("off", "timed", "on"),
 *   front_panel_buttons.
 * - power: action ("off", "on", "cycle", "reset", "diag", "soft"), [wait_ms],
 *   [on_when_off] -> power_on (when it was waited for). With on_when_off, a host that is off is
 *   switched on instead of being cycled or reset.
 * - identify: [seconds] (15, 0 to 255), [on] (1: until it is switched off; 0: off).
 * - set_power_restore_policy: policy ("off", "previous", "on").
 * - sensors -> name, number, type (text), status ("valid" when it has a reading), value (with a
 *   fraction), unit (text), raw, severity ("ok", "warning", "critical", "non-recoverable"), states
 *   (text), error (BMCLINK_ERR_*, in place of a reading), error_text. A row for each sensor.
 * - health -> state (as severity above, or "unknown"), summary (one line), judged, failed (how
 *   many sensors).
 * - sel: [since_record], [since_timestamp] -> record_id, record_type, timestamp, time (seconds
 *   since 1970 by the BMC's clock), corrected_time (by ours), severity, text, data (bytes). A row
 *   for each entry; since_* are record_id and timestamp of one that was read before.
 * - sel_info -> entry_count, free_bytes, overflow, last_addition, last_erase (texts).
 * - clear_sel -> record_id, record_type, timestamp, time, corrected_time, severity, text, data. It
 *   gives all that was cleared, as sel does, and loses nothing that is added meanwhile.
 * - fru: [fru_id] -> fru_id, name, checksums_ok, chassis_type, chassis_part_number,
 *   chassis_serial_number, board_manufactured (seconds since 1970), board_manufacturer,
 *   board_product_name, board_serial_number, board_part_number, product_manufacturer,
 *   product_name, product_part_number, product_version, product_serial_number,
 *   product_asset_tag, data (bytes), error, error_text. A row for each part; texts but for
 *   numbers and types.
 * - boot -> valid, device (as below, or "other"), device_number, persistent, efi.
 * - set_boot: device ("none", "pxe", "disk", "safe", "diag", "cdrom", "bios", "floppy",
 *   "remote_floppy", "remote_cdrom", "remote_media", "remote_disk"), [persistent], [efi],
 *   [keep_valid].
 * - users: [channel] -> id, name, privilege, enabled, ipmi, callback_only, link_authentication. A
 *   row for each user. Channels are 14 when left out, that of the session; privileges are
 *   "callback", "user", "operator", "administrator", "oem", "no access".
 * - create_user: name, password, [privilege], [ipmi], [in_clear] -> id. The user may log in with
 *   IPMI only with ipmi 1; in_clear 1 sends the password over a session without encryption.
 * - delete_user: id.
 * - enable_user: id, [on] (1).
 * - set_user_name: id, name.
 * - set_user_password: id, password (bytes or text), [twenty_bytes], [in_clear].
 * - set_user_access: id, [channel], [privilege] (none: no access), [ipmi].
 * - channel_info: [channel] -> number, medium, protocol, session_support, active_sessions, is_lan.
 *   Without a channel, a row for each one.
 * - lan: [channel] -> ip_address, address_source ("static", "dhcp", "bios", "other"),
 *   subnet_mask, mac_address, gateway, gateway_mac, backup_gateway, backup_gateway_mac, port,
 *   vlan, cipher_suites (bytes), ipv6_addresses. Addresses are texts.
 * - sol_config: [channel] -> enabled, force_encryption, force_authentication, privilege,
 *   accumulate_ms, send_threshold, retry_count, retry_ms, bit_rate (0: as the serial port),
 *   volatile_bit_rate, payload_channel, payload_port.
 * - set_sol_config: [channel], [enabled], [bit_rate], [force] (1: also when it locks us out).
 * - session_info, sessions -> handle, slots, active, user, privilege, is_v20, channel, address,
 *   mac, port. Of this session, and of all of them.
 * - dcmi_power -> valid, current, minimum, maximum, average (in watts), timestamp, period_ms.
 * - asset_tag -> asset_tag.
 * - set_asset_tag: asset_tag.
 * - restart_cause -> cause (text), channel.
 * - power_on_time -> seconds. Over the machine's life.
 * - clear_boot. Takes back what set_boot set.
 * - test_user_password: id, password (bytes or text), [twenty_bytes], [in_clear] -> result
 *   ("matches", "wrong", "wrong size").
 * - sel_time -> time (seconds since 1970), since_start (of a clock that was not set).
 * - set_sel_time: time.
 * - set_lan: [channel], [ip_address], [address_source], [subnet_mask], [gateway],
 *   [backup_gateway], [vlan] (1 to 4094; 0: none). Words and texts as lan gives them.
 * - channel_access: [channel], [stored] ("volatile", "non-volatile") -> mode ("disabled",
 *   "pre-boot", "always", "shared", "other"), alerting_off, per_message_authentication_off,
 *   user_level_authentication_off, privilege.
 * - set_channel_access: [channel], [stored], [mode], [privilege]. The rest stays as it is.
 * - payload_access: id, [channel] -> sol, standard, oem, oem_upper (bits).
 * - set_payload_access: id, sol, [channel].
 * - k_g_lock: [channel] -> lock ("not lockable", "locked", "unlocked").
 * - set_k_g: k_g (bytes or text), [channel], [in_clear].
 * - cipher_suites: [channel] -> id, oem_iana, authentication, integrity (bytes),
 *   confidentiality (bytes). A row for each one.
 * - power_limit -> active, limit (in watts), exception_action, correction_ms, sampling (seconds).
 * - set_power_limit: limit, [exception_action], [correction_ms] (1000), [sampling] (1).
 * - activate_power_limit: [on] (1).
 * - controller_id -> controller_id.
 * - set_controller_id: controller_id.
 *
 * For sensors, health and fru the command keeps what sensors and parts there are, and reads that
 * once for all BMCs that are equal: use the same one again, and one of its own for BMCs that you
 * do not trust equally.
 *
 * Numbers unless said otherwise; data is bytes; what has words is a text. Fails with
 * BMCLINK_ERR_MISUSE when there is no command of that name.
 */
BMCLINK_MUST_USE int32_t bmclink_command_new(const char *name, struct bmclink_command **command);

/**
 * Gives it a number. Fails with BMCLINK_ERR_MISUSE when the command takes nothing of that name.
 * What is out of range is found when the command is used.
 */
int32_t bmclink_command_set_number(struct bmclink_command *command,
                                   const char *name,
                                   int64_t value);

/**
 * Gives it a text in UTF-8. Fails as bmclink_command_set_number does.
 */
int32_t bmclink_command_set_text(struct bmclink_command *command,
                                 const char *name,
                                 const char *value);

/**
 * Gives it bytes. Fails as bmclink_command_set_number does.
 */
int32_t bmclink_command_set_bytes(struct bmclink_command *command,
                                  const char *name,
                                  const void *bytes,
                                  size_t len);

/**
 * Frees a command. Calls that use it go on. NULL is fine.
 */
int32_t bmclink_command_free(struct bmclink_command *command);

/**
 * Has a BMC carry a command out, and blocks until it has or `timeout_ms` is over. Logs in first
 * when no session is up.
 *
 * `result` gets what it gave, to be freed with bmclink_result_free; a command that gives nothing
 * gives a result without rows. `result` may be NULL.
 *
 * A completion code other than 0 is BMCLINK_ERR_COMPLETION, and D4h, which is about the user's
 * rights, BMCLINK_ERR_PRIVILEGE: see bmclink_last_error_completion_code. Also fails as
 * bmclink_bmc_connect does, with BMCLINK_ERR_MISUSE for arguments out of range, with
 * BMCLINK_ERR_PEER_MISBEHAVED for a response that cannot be read, with BMCLINK_ERR_CANCELLED by
 * bmclink_bmc_cancel.
 */
int32_t bmclink_bmc_run(struct bmclink_bmc *bmc,
                        struct bmclink_command *command,
                        int64_t timeout_ms,
                        struct bmclink_result **result);

/**
 * Ends all commands that are under way on this handle, in other threads, with
 * BMCLINK_ERR_CANCELLED. Later ones are not touched; what was sent may be carried out all the
 * same. Does not block.
 */
int32_t bmclink_bmc_cancel(struct bmclink_bmc *bmc);

/**
 * Whether the host is on: 1 or 0. Blocks as bmclink_bmc_run does, and fails like it.
 */
int32_t bmclink_bmc_power_status(struct bmclink_bmc *bmc, int64_t timeout_ms);

/**
 * Switches the host: `action` is "off", "on", "cycle", "reset", "diag" or "soft".
 *
 * Waits for the power to be as it is to be, at most `wait_ms`; 0 does not wait. `timeout_ms` is
 * for all of it. Never sent again when an answer may just be late: BMCLINK_ERR_OUTCOME_UNKNOWN
 * then. Otherwise as bmclink_bmc_run.
 */
int32_t bmclink_bmc_power(struct bmclink_bmc *bmc,
                          const char *action,
                          int64_t wait_ms,
                          int64_t timeout_ms);

/**
 * How many rows there are, 0 or more. Does not block.
 */
int64_t bmclink_result_rows(struct bmclink_result *result);

/**
 * How many values a row has, 0 or more. Fails with BMCLINK_ERR_MISUSE when there is no such row.
 */
int64_t bmclink_result_fields(struct bmclink_result *result, uint64_t row);

/**
 * The name of a value of a row, by its place from 0: a text that lives as long as the result;
 * NULL when there is none.
 */
const char *bmclink_result_name(struct bmclink_result *result, uint64_t row, uint64_t place);

/**
 * The kind of a value, one of BMCLINK_VALUE_*; 0 when the row has no value of that name.
 */
int32_t bmclink_result_kind(struct bmclink_result *result, uint64_t row, const char *name);

/**
 * Gives a whole number. Fails with BMCLINK_ERR_MISUSE when the row has none of that name, and
 * writes nothing then.
 */
int32_t bmclink_result_number(struct bmclink_result *result,
                              uint64_t row,
                              const char *name,
                              int64_t *value);

/**
 * Gives a number with a fraction, or a whole one as such. Fails as bmclink_result_number does.
 */
int32_t bmclink_result_real(struct bmclink_result *result,
                            uint64_t row,
                            const char *name,
                            double *value);

/**
 * The value as a text, whatever its kind: bytes in hexadecimal. It lives as long as the result;
 * NULL when the row has none of that name.
 */
const char *bmclink_result_text(struct bmclink_result *result, uint64_t row, const char *name);

/**
 * Copies bytes to `buffer`, at most `capacity` of them, and gives how many there are, also when
 * that is more. Of a text, its bytes without a NUL. `buffer` may be NULL when `capacity` is 0.
 * Fails as bmclink_result_number does.
 */
int64_t bmclink_result_bytes(struct bmclink_result *result,
                             uint64_t row,
                             const char *name,
                             void *buffer,
                             size_t capacity);

/**
 * Frees a result, and all texts in it. NULL is fine.
 */
int32_t bmclink_result_free(struct bmclink_result *result);

/**
 * Makes a fleet without BMCs. To be freed with bmclink_fleet_free. Does not block.
 */
BMCLINK_MUST_USE int32_t bmclink_fleet_new(struct bmclink_fleet **fleet);

/**
 * Adds a BMC, and gives its index: 0 for the first, then counting up. The fleet keeps the BMC,
 * also when its handle is freed.
 */
int64_t bmclink_fleet_add(struct bmclink_fleet *fleet, struct bmclink_bmc *bmc);

/**
 * Sets how many BMCs are asked at once, 1 or more. Default 1,024. A BMC whose turn has not come
 * has no time running.
 */
int32_t bmclink_fleet_set_at_once(struct bmclink_fleet *fleet, uint32_t bmcs);

/**
 * Sets how long each BMC has, from when its turn comes. Default 30 s; negative: for ever.
 */
int32_t bmclink_fleet_set_timeout_ms(struct bmclink_fleet *fleet, int64_t ms);

/**
 * Sets how long all have together. Default, and when negative: for ever.
 */
int32_t bmclink_fleet_set_deadline_ms(struct bmclink_fleet *fleet, int64_t ms);

/**
 * Frees a fleet. Its runs go on. NULL is fine.
 */
int32_t bmclink_fleet_free(struct bmclink_fleet *fleet);

/**
 * Begins to ask every BMC of the fleet, as bmclink_bmc_run would. What comes of it is given by
 * bmclink_run_next. To be freed with bmclink_run_free. Does not block.
 *
 * A dead or slow BMC delays no other; an error of one is its row. Changes of the fleet and of
 * the command are for later runs. Fails with BMCLINK_ERR_MISUSE when none is to be asked at once,
 * with BMCLINK_ERR_IO when there is no thread to be had: a run has one.
 */
BMCLINK_MUST_USE
int32_t bmclink_fleet_run(struct bmclink_fleet *fleet,
                          struct bmclink_command *command,
                          struct bmclink_run **run);

/**
 * Gives what came of the next BMC that is done, and blocks until `timeout_ms` for it: 1 and
 * the three outputs, or 0 when every BMC has had its row.
 *
 * `index` gets which one it is, as bmclink_fleet_add numbered it. `code` gets 0, or an error
 * code; then this thread's last error is that BMC's. `result` gets what it gave, to be freed with
 * bmclink_result_free, or NULL when there was an error; it may be NULL.
 *
 * Fails with BMCLINK_ERR_TIMED_OUT, and writes nothing then.
 */
int32_t bmclink_run_next(struct bmclink_run *run,
                         int64_t timeout_ms,
                         uint64_t *index,
                         int32_t *code,
                         struct bmclink_result **result);

/**
 * How many BMCs have not given their row yet, 0 or more. Does not block.
 */
int64_t bmclink_run_left(struct bmclink_run *run);

/**
 * Ends what is not done: the rows of these BMCs have BMCLINK_ERR_CANCELLED and come at once. Does
 * not block.
 */
int32_t bmclink_run_cancel(struct bmclink_run *run);

/**
 * A file descriptor that is readable while bmclink_run_next would give a row, or 0, at once. For
 * poll, epoll and event loops.
 *
 * It is the run's until that is freed; it is not to be closed, read from or written to.
 */
int32_t bmclink_run_fd(struct bmclink_run *run);

/**
 * Adds a run to an event queue, to be reported with `key` and BMCLINK_READY_READABLE when there is
 * a new row, and when there are no more. A run that is freed leaves the queue by itself. Fails
 * with BMCLINK_ERR_MISUSE when it is in this queue already. Does not block.
 */
int32_t bmclink_event_queue_add_run(struct bmclink_event_queue *queue,
                                    struct bmclink_run *run,
                                    uint64_t key);

/**
 * Takes a run out. Fails with BMCLINK_ERR_MISUSE when it is not in this queue. Does not block.
 */
int32_t bmclink_event_queue_remove_run(struct bmclink_event_queue *queue, struct bmclink_run *run);

/**
 * Frees a run: what is not done is cancelled, and waits in other threads end. NULL is fine. Blocks
 * for a moment at most, until its thread has ended.
 */
int32_t bmclink_run_free(struct bmclink_run *run);

/**
 * Starts simulated BMCs on the loopback device: complete ones, with users "admin" (password
 * "password"), "operator" and "user" (passwords like the names).
 *
 * `profile` is what they behave like: "spec", "openbmc", "go-ipmi", "pyghmi" or "ipmi-sim".
 * `serial` is what is behind their serial ports: "shell" (a login and a few commands), "echo",
 * "flood", "boot", "none" or "cmd:" and a command line that runs on a terminal. Both are
 * NUL-terminated; NULL is "spec", and "shell". `count` is 1 to 20000. Each has an address of its
 * own in 127.0.0.0/8, all the same free port: see bmclink_sim_address.
 *
 * They answer when this returns. To be freed with bmclink_sim_free.
 *
 * Fails with BMCLINK_ERR_MISUSE for a value out of range and when the library was built without
 * the simulator; with BMCLINK_ERR_IO when there is no socket to be had.
 */
BMCLINK_MUST_USE
int32_t bmclink_sim_start(const char *profile,
                          const char *serial,
                          uint32_t count,
                          struct bmclink_sim **sim);

/**
 * The address and UDP port of BMC `index`, from 0.
 *
 * `address` gets a NUL-terminated text and has room for `capacity` bytes; BMCLINK_ADDRESS_MAX
 * are always enough. Does not block.
 */
int32_t bmclink_sim_address(struct bmclink_sim *sim,
                            uint32_t index,
                            char *address,
                            size_t capacity,
                            uint16_t *port);

/**
 * Resets BMC `index`, from 0: it forgets its sessions, without a word to anybody. Does not block.
 */
int32_t bmclink_sim_reset(struct bmclink_sim *sim, uint32_t index);

/**
 * Has another session take the SOL of BMC `index`, from 0. Does not block.
 */
int32_t bmclink_sim_steal_sol(struct bmclink_sim *sim, uint32_t index);

/**
 * Has BMC `index`, from 0, answer (the default), or, with 0, be as silent as one that is switched
 * off. Does not block.
 */
int32_t bmclink_sim_set_reachable(struct bmclink_sim *sim, uint32_t index, int32_t reachable);

/**
 * Changes the password of a user of BMC `index`, from 0. Sessions that are up stay up.
 *
 * Both are bytes with a length, at most 16 and 20 of them. A user that is not there stays so. Does
 * not block.
 */
int32_t bmclink_sim_set_password(struct bmclink_sim *sim,
                                 uint32_t index,
                                 const void *user_name,
                                 size_t user_name_len,
                                 const void *password,
                                 size_t password_len);

/**
 * Has BMC `index`, from 0, answer a command `ms` milliseconds late from now on, or, with 0, at
 * once again. `net_fn` is that of the request. Does not block.
 */
int32_t bmclink_sim_set_delay_ms(struct bmclink_sim *sim,
                                 uint32_t index,
                                 uint8_t net_fn,
                                 uint8_t cmd,
                                 uint32_t ms);

/**
 * Has BMC `index`, from 0, answer a command with a completion code, the next `times` times.
 * `net_fn` is that of the request. Does not block.
 */
int32_t bmclink_sim_refuse(struct bmclink_sim *sim,
                           uint32_t index,
                           uint8_t net_fn,
                           uint8_t cmd,
                           uint8_t completion_code,
                           uint32_t times);

/**
 * Has BMC `index`, from 0, do something wrong from now on that real BMCs do: `name` is
 * NUL-terminated, and one of the names that `bmc_sim --help` lists. An unknown one fails with
 * BMCLINK_ERR_MISUSE and a text that lists all. Does not block.
 */
int32_t bmclink_sim_misbehave(struct bmclink_sim *sim, uint32_t index, const char *name);

/**
 * Gives what BMC `index`, from 0, counted since it was started: `name` is NUL-terminated and one
 * of those below, `value` gets the number. Does not block.
 *
 * datagrams_in, datagrams_out, open_session, rakp1, rakp3, setup_refused, sessions_opened,
 * sessions_closed, sessions_expired, commands, retransmitted_requests, activate_payload,
 * deactivate_payload, sol_in, sol_out, sol_retransmits, sol_duplicates_in, bad_auth_code,
 * unknown_session, dropped: packets and sessions of these kinds, as it sees them.
 *
 * Fails with BMCLINK_ERR_MISUSE when there is no counter of that name.
 */
int32_t bmclink_sim_counter(struct bmclink_sim *sim,
                            uint32_t index,
                            const char *name,
                            uint64_t *value);

/**
 * Ends the simulated BMCs and everything they started, and blocks until that is done. NULL is
 * fine.
 */
int32_t bmclink_sim_free(struct bmclink_sim *sim);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* BMCLINK_H */
