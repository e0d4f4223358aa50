# The everyday commands. `just` alone lists them.
default:
    @just --list

# Format, lint and the directions between crates.
check:
    cargo fmt --all --check
    python3 .ci/directions.py
    python3 corpora/check.py
    cargo clippy --release --workspace --all-targets -- -D warnings

# What needs Rust and Python 3 only.
test:
    python3 tests/run.py

# The above, and long, full-size and fuzz runs.
test-all: test
    python3 tests/run.py --all

# Fuzz the GGUF reader (needs a C++ compiler).
fuzz seconds="600":
    fuzz/run.sh {{seconds}}

# Speed, memory and recall, each beside a peer.
bench:
    cargo bench --workspace

# The main job on the sample folder.
demo *question="How many days a year may I work from another country?":
    cargo run --release --bin docent -- ask --in corpora/tour --yes "{{question}}"

# Licences, bans and sources of all dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources
