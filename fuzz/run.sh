#!/usr/bin/env bash
# Runs fuzz targets, each for SECONDS, from the vectors on. Fails when one finds something.
#
#   fuzz/run.sh SECONDS [TARGET...]
#
# Needs a C++ compiler, but neither cargo-fuzz nor a nightly toolchain: the flags are those that
# cargo-fuzz gives rustc. `cargo fuzz run TARGET` works too where it is installed.
# A new target is a file in fuzz_targets/, its [[bin]] in Cargo.toml, and, to start from more than
# nothing, a name in tests/codec/corpus.rs.
# What a target found stays in fuzz/artifacts/TARGET/; give that file to the program to see it again.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
if [ $# -eq 0 ]; then
    for file in fuzz_targets/*.rs; do set -- "$@" "$(basename "$file" .rs)"; done
fi

triple=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
-Zsanitizer=address -Ccodegen-units=1 --cfg fuzzing"
# With --target the flags stay away from build scripts.
build=(cargo build --release --locked --target "$triple" --target-dir "$target_dir/fuzz")
"${build[@]}" --bins --example seed_corpus
programs=$target_dir/fuzz/$triple/release

"$programs/examples/seed_corpus" corpus
failed=()
for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    echo "== $target, $(find "corpus/$target" -type f | wc -l) inputs to start from"
    "$programs/$target" "corpus/$target" -max_total_time="$seconds" -max_len=2100 \
        -timeout=5 -rss_limit_mb=1024 -artifact_prefix="artifacts/$target/" \
        -print_final_stats=1 -verbosity=1 >"artifacts/$target/log" 2>&1 || failed+=("$target")
    grep -E '^stat::(number_of_executed_units|new_units_added)|^#[0-9]+.*DONE|SUMMARY' \
        "artifacts/$target/log" || true
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s (see fuzz/artifacts/*/log)\n' "${failed[*]}"
    exit 1
fi
echo "== nothing found"
