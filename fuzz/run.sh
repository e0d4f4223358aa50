#!/bin/sh
# Fuzzes a reader with libFuzzer and the address sanitizer: fuzz/run.sh [SECONDS] [gguf|extract], 600 seconds of `gguf` by default.
# Needs a C++ compiler. Works with the stable compiler (RUSTC_BOOTSTRAP lets it take the sanitizer's flags) and without
# cargo-fuzz. The corpus starts with the small models of the runtime's tests, or with a file of every format; findings are
# left in fuzz/artifacts.
set -eu
cd "$(dirname "$0")"
target=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing $coverage -Zsanitizer=address -Cdebug-assertions -Ccodegen-units=1"
reader=${2:-gguf}
cargo build --release --target "$target" --bin "$reader" --features "$reader"
mkdir -p "corpus/$reader" artifacts
if [ "$reader" = gguf ]; then
    cp ../crates/lm/tests/data/small-*.gguf corpus/gguf/
else
    # The first byte of a case is the place of its name among NAMES of fuzz_targets/extract.rs; the fuzzer finds other pairs.
    names="txt md rst adoc org tex html xhtml csv json yaml toml py ipynb srt vtt eml mbox rtf zip tar gz docx pptx xlsx odt odp ods epub"
    for file in ../crates/extract/tests/golden/*.*; do
        n=0
        for name in $names; do
            [ "${file##*.}" = "$name" ] && break
            n=$((n + 1))
        done
        { printf "\\$(printf %03o $n)"; cat "$file"; } > "corpus/extract/$(basename "$file")"
    done
fi
exec "${CARGO_TARGET_DIR:-target}/$target/release/$reader" "corpus/$reader" -max_len=131072 -max_total_time="${1:-600}" \
    -rss_limit_mb=4096 -timeout=20 -artifact_prefix=artifacts/
