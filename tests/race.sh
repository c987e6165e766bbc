#!/usr/bin/env bash
# Runs the tests of the engine under ThreadSanitizer, which reports every access to memory that no
# lock or atomic orders. Safe Rust has none; this watches the code that is not, ours and that of
# the crates we use. Two minutes from nothing on two cores, most of it building.
#
# The standard library as it is installed is not built for it: hence race.suppressions, and hence
# no tests here that share things by std's own locks, whose slow paths it does not see. Suppressing
# goes by function names, for which it needs llvm-symbolizer or addr2line (binutils).
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(rustc -vV | sed -n 's/^host: //p')
runtime=$(rustc --print sysroot)/lib/rustlib/$target/lib
if ! ls "$runtime"/librustc*_rt.tsan.a >/dev/null 2>&1; then
    echo "race: this toolchain has no ThreadSanitizer for $target: skipped"
    exit 0
fi
# A sanitizer is an unstable flag of a stable compiler.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/race
export TSAN_OPTIONS="suppressions=$PWD/tests/race.suppressions exitcode=66"
exec cargo test --locked --target "$target" --test engine "$@"
