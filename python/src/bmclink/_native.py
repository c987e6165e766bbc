"""The C library: where it is, and how its functions are called.

ctypes releases the interpreter's lock for the time of each call, so that a call that blocks
blocks one thread only.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_size_t, c_void_p
from typing import Any

# The interface this package is written for: see bmclink_abi_version.
ABI_VERSION = 3

ERR_TIMED_OUT = -1
ERR_CLOSED = -20

LOG_CALLBACK = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_char_p, c_void_p)
CONSOLE_CALLBACK = ctypes.CFUNCTYPE(
    None, c_int32, c_int32, c_int32, ctypes.c_uint64, c_void_p, c_size_t, c_void_p
)

# What the letters of SIGNATURES mean. A capital is a place for an output.
TYPES: dict[str, Any] = {
    "p": c_void_p,  # A handle, a pointer of the caller's, or bytes with a length.
    "P": POINTER(c_void_p),
    "s": c_char_p,  # A text with a NUL, or bytes with a length.
    "i": c_int32,
    "I": POINTER(c_int32),
    "q": c_int64,
    "Q": POINTER(c_int64),
    "d": POINTER(ctypes.c_double),
    "b": ctypes.c_uint8,
    "B": POINTER(ctypes.c_uint8),
    "w": ctypes.c_uint16,
    "W": POINTER(ctypes.c_uint16),
    "u": ctypes.c_uint32,
    "U": POINTER(ctypes.c_uint32),
    "t": ctypes.c_uint64,
    "T": POINTER(ctypes.c_uint64),
    "z": c_size_t,
    "Z": POINTER(c_size_t),
    "l": LOG_CALLBACK,
    "c": CONSOLE_CALLBACK,
}

# Function, result, arguments. tests/test_native.py compares this with the header.
SIGNATURES = """
version s
abi_version i
has_feature i s
last_error s
last_error_advice s
last_error_code i
last_error_stage i
last_error_status i
last_error_completion_code i
error_text s i
set_log i ilp

credentials_new i szszszP
credentials_update i pszszsz
credentials_free i p

engine_options_new i P
engine_options_set_shards i pu
engine_options_set_bmcs_per_socket i pu
engine_options_set_inbox_len i pu
engine_options_set_receive_buffer_len i pu
engine_options_set_local_address i ps
engine_options_set_resolvers i pu
engine_options_set_dispatchers_max i pu
engine_options_set_login_rate i pu
engine_options_set_logins_at_once i pu
engine_options_free i p
engine_new i pP
engine_free i p
engine_stats i piP

bmc_options_new i spP
bmc_options_set_port i pw
bmc_options_set_allow_null_user i pi
bmc_options_set_cipher_suites i psz
bmc_options_set_privilege_level i pi
bmc_options_set_user_lookup i pi
bmc_options_set_ipmi_version i pi
bmc_options_set_auth_types i psz
bmc_options_add_quirk i ps
bmc_options_set_request_window i pu
bmc_options_set_login_attempts i pu
bmc_options_set_request_transmissions i pu
bmc_options_set_timing_ms i piu
bmc_options_free i p
bmc_open i ppP
bmc_reconfigure i pp
bmc_free i p
bmc_connect i pq
bmc_raw i pbbbszqBpzZ
bmc_is_connected i p
bmc_cipher_suite i p
bmc_privilege_level i p
bmc_logins q p
bmc_address i ppzW
bmc_reason i p
bmc_stats i pP

console_options_new i P
console_options_set_instance i pb
console_options_set_take_over i pi
console_options_set_allow_clear i pi
console_options_set_replay_len i pz
console_options_set_input_len i pz
console_options_set_accumulate_ms i pu
console_options_set_retransmit_ms i puuu
console_options_set_keepalive_ms i pu
console_options_set_keep i piu
console_options_set_retry_ms i piu
console_options_set_log_file i pstu
console_options_free i p
console_open i ppP
console_reconfigure i pp
console_free i p
console_connect i pq
console_begin_connect i p
console_write q pszq
console_drain i pq
console_send_break i pq
console_state i p
console_wait_state i piq
console_reason i p
console_log_error i p
console_reopen_log i p
console_why i pIITT
console_counter i piT
console_close i pq
console_set_callback i picp
console_resize i pww

exec_options_new i sP
exec_options_add_argument i ps
exec_options_add_variable i pss
exec_options_set_directory i ps
exec_options_set_signature i pszu
exec_options_set_window i pww
exec_options_set_cooked i pi
exec_options_set_credentials i ppssi
exec_options_free i p
exec_open i pppP
console_reconfigure_exec i pp

reader_open i piP
reader_read q ppzq
reader_next q ppzqIT
reader_event_epoch q p
reader_event_age_ms q p
reader_event_reason i p
reader_fd i p
reader_lost q p
reader_free i p

event_queue_new i P
event_queue_add_console i ppt
event_queue_add_reader i ppt
event_queue_remove_console i pp
event_queue_remove_reader i pp
event_queue_wait q pTIzq
event_queue_fd i p
event_queue_free i p
event_queue_add_run i ppt
event_queue_remove_run i pp

command_new i sP
command_set_number i psq
command_set_text i pss
command_set_bytes i pssz
command_free i p
bmc_run i ppqP
bmc_cancel i p
bmc_power_status i pq
result_rows q p
result_fields q pt
result_name s ptt
result_kind i pts
result_number i ptsQ
result_real i ptsd
result_text s pts
result_bytes q ptspz
result_free i p

fleet_new i P
fleet_add q pp
fleet_set_at_once i pu
fleet_set_timeout_ms i pq
fleet_set_deadline_ms i pq
fleet_free i p
fleet_run i ppP
run_next i pqTIP
run_left q p
run_cancel i p
run_fd i p
run_free i p

stats_value i piT
stat_name s i
stats_free i p

sim_start i ssuP
sim_address i pupzW
sim_reset i pu
sim_steal_sol i pu
sim_set_reachable i pui
sim_set_password i puszsz
sim_free i p
"""


def _find() -> str:
    chosen = os.environ.get("BMCLINK_LIBRARY")
    if chosen:
        return chosen
    return str(pathlib.Path(__file__).with_name("libbmclink.so"))


def _load() -> ctypes.CDLL:
    path = _find()
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"bmclink: the library cannot be loaded: {error}") from error
    found = library.bmclink_abi_version()
    if found >> 16 != ABI_VERSION >> 16 or found < ABI_VERSION:
        raise ImportError(
            f"bmclink: {path} has interface {found}, this package needs {ABI_VERSION}"
        )
    for line in SIGNATURES.split("\n"):
        if line:
            name, result, arguments = (line + " ").split(" ")[:3]
            function = getattr(library, "bmclink_" + name, None)
            if function is None:
                raise ImportError(f"bmclink: {path} has no bmclink_{name}: it is too old")
            function.restype = TYPES[result]
            function.argtypes = [TYPES[letter] for letter in arguments]
    return library


_library = _load()


def function(name: str) -> Any:
    """The C function bmclink_`name`."""
    return getattr(_library, "bmclink_" + name)


class _Functions:
    """All C functions, as attributes without their prefix."""

    def __getattr__(self, name: str) -> Any:
        found = function(name)
        setattr(self, name, found)
        return found


lib = _Functions()


def text(value: str) -> bytes:
    """A text for C, which must not have a NUL inside."""
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise ValueError("a NUL inside a text")
    return encoded
