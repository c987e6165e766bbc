#!/usr/bin/env bash
# Runs the models of src/engine/tests/models/: what threads hand each other, in every order in
# which they can take their turns. Two minutes from nothing on two cores, most of it building.
#
# Orders are bounded to those with at most three preemptions (see PREEMPTIONS_MAX there). With
# LOOM_MAX_PREEMPTIONS=4 it takes much longer; LOOM_LOG=trace LOOM_LOCATION=1 shows the steps of a
# model that fails. Arguments go to the tests: tests/model.sh inbox
set -euo pipefail
cd "$(dirname "$0")/.."
# A folder of its own: other flags would have everything built anew, here and in the next build.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/model
export RUSTFLAGS="${RUSTFLAGS:-} --cfg loom"
exec cargo test --release --locked --lib --no-default-features "models::${1:-}"
