#!/bin/sh
# Fuzzes the GGUF reader with libFuzzer and the address sanitizer: fuzz/run.sh [SECONDS], 600 by default.
# Needs a C++ compiler. Works with the stable compiler (RUSTC_BOOTSTRAP lets it take the sanitizer's flags) and without
# cargo-fuzz. The corpus starts with the small models of the runtime's tests; findings are left in fuzz/artifacts.
set -eu
cd "$(dirname "$0")"
target=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing $coverage -Zsanitizer=address -Cdebug-assertions -Ccodegen-units=1"
cargo build --release --target "$target"
mkdir -p corpus/gguf artifacts
cp ../crates/lm/tests/data/small-*.gguf corpus/gguf/
exec "${CARGO_TARGET_DIR:-target}/$target/release/gguf" corpus/gguf -max_len=131072 -max_total_time="${1:-600}" \
    -rss_limit_mb=4096 -timeout=20 -artifact_prefix=artifacts/
