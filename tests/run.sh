#!/usr/bin/env bash
# Runs every check of this repository and stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/sbin:/sbin
export RUST_BACKTRACE=${RUST_BACKTRACE:-1}

step() {
    local started=$SECONDS
    echo "== $*"
    "$@"
    echo "== $1: $((SECONDS - started)) s"
}

# rustfmt and clippy are components a toolchain may lack; the tests are what must run.
step_if_installed() {
    if "$1" "$2" --version >/dev/null 2>&1; then step "$@"; else echo "== no $1 $2: skipped"; fi
}

step tests/setup.sh
step_if_installed cargo fmt --check
step_if_installed cargo clippy --locked --all-targets -- -D warnings
step cargo test --release --locked
step cargo test --release --locked --features screen --test screen
step tests/model.sh
step tests/race.sh
# A few seconds for each decoder and for a whole session, from the vectors on.
step fuzz/run.sh "${FUZZ_SECONDS:-4}"
echo "== all passed"
