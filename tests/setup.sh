#!/usr/bin/env bash
# Installs what the tests need beyond the Rust toolchain, on Debian or Ubuntu. Safe to run again:
# when everything is there it says so and touches nothing.
set -euo pipefail
cd "$(dirname "$0")"
# FreeIPMI installs into sbin, which the PATH of an ordinary user lacks.
PATH=$PATH:/usr/sbin:/sbin

say() { echo "setup: $*"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Another package run may hold apt's lock, and mirrors have bad minutes.
retry() {
    local attempt
    for attempt in 1 2 3 4 5; do
        "$@" && return
        say "try $attempt of 5 failed: $*" >&2
        sleep $((attempt * 3))
    done
    return 1
}

has_program() { command -v "$1" >/dev/null; }
has_c_headers() { echo '#include <stdio.h>' | gcc -E -x c - >/dev/null 2>&1; }
has_uv_headers() { echo '#include <uv.h>' | gcc -E -x c - >/dev/null 2>&1; }
has_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

missing=()
need() { # need PACKAGE CHECK...: the package is wanted when the check fails.
    local package=$1
    shift
    "$@" || missing+=("$package")
}
need openipmi has_program ipmi_sim
need ipmitool has_program ipmitool
need freeipmi-tools has_program ipmiconsole
need gcc has_program gcc
need g++ has_program g++
need clang has_program clang
need libuv1-dev has_uv_headers
need make has_program make
need libc6-dev has_c_headers
need valgrind has_program valgrind
# Both come as services too, which end at once: their configurations have no console.
need conman has_program conmand
need conserver-server has_program conserver
need conserver-client has_program console
need perl-base has_program perl
need python3 has_program python3
need python3-venv has_venv

if [ ${#missing[@]} -gt 0 ]; then
    say "installing Debian packages: ${missing[*]}"
    # Standard output is a page of unpacking; what goes wrong is on standard error.
    retry as_root apt-get -qq -o DPkg::Lock::Timeout=60 update >/dev/null
    retry as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=60 \
        install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

# The marker is written last: a venv that was interrupted half way is made again.
marker=.venv/installed
has_packages() { cmp -s lab/requirements.txt "$marker" && .venv/bin/python -c 'import mypy, pyghmi, pytest'; }
if ! has_packages 2>/dev/null; then
    say "making the Python environment tests/.venv"
    python3 -m venv --clear .venv
    retry .venv/bin/pip --quiet --disable-pip-version-check install -r lab/requirements.txt
    cp lab/requirements.txt "$marker"
    missing+=(.venv)
fi

[ ${#missing[@]} -gt 0 ] || say "nothing to install"
