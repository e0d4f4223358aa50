#!/bin/sh
# Fuzzes a reader with libFuzzer and the address sanitizer: fuzz/run.sh [SECONDS] [gguf|extract] [PARSER[,PARSER...]], 600 seconds of
# `gguf` by default. PARSER holds `extract` to parsers that seeds.py names, with a corpus of their own; without it one run is for all.
# Needs a C++ compiler, and Python for `extract`. Works with the stable compiler (RUSTC_BOOTSTRAP lets it take the
# sanitizer's flags) and without cargo-fuzz. The corpus starts with the small models of the runtime's tests, or with the golden files of
# the formats; findings are left in fuzz/artifacts.
set -eu
cd "$(dirname "$0")"
target=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing $coverage -Zsanitizer=address -Cdebug-assertions -Ccodegen-units=1"
reader=${2:-gguf}
parser=${3:-}
cargo build --release --target "$target" --bin "$reader" --features "$reader"
run=$reader${parser:+-$parser}
mkdir -p "corpus/$run" artifacts
if [ "$reader" = gguf ]; then
    cp ../crates/lm/tests/data/small-*.gguf corpus/gguf/
    dictionary=
else
    python3 seeds.py $parser
    dictionary=-dict=corpus/$run.dict
    [ -z "$parser" ] || export DOCENT_FUZZ_PARSER="$parser"
fi
exec "${CARGO_TARGET_DIR:-target}/$target/release/$reader" "corpus/$run" $dictionary -max_len=131072 -max_total_time="${1:-600}" \
    -rss_limit_mb=4096 -timeout=20 -print_final_stats=1 -artifact_prefix="artifacts/$run-"
