#!/usr/bin/env bash
# Builds the fuzz targets with coverage for libFuzzer and runs each for some seconds, on the stable
# toolchain: the flags are what cargo-fuzz passes, less the sanitizer that needs a nightly one.
#
#   fuzz/run.sh [SECONDS] [TARGET...]     default: 10 seconds each, all targets
#
# The corpus grows in fuzz/corpus; a failing input is kept in fuzz/artifacts. Run one again with
#   target/fuzz/HOST/release/TARGET fuzz/artifacts/TARGET/crash-...
# SEED=N makes a run repeatable.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-10}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(framing otlp als json_line format config)

host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-../target}/fuzz
# Same dependencies as the program; cargo adds only what the main lock file does not know.
cp ../Cargo.lock Cargo.lock
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Coverflow-checks" \
  cargo build --release --bins --target "$host"

# seed TARGET FILE...: the first bytes of each file, since whole captures are far larger than what
# libFuzzer mutates well.
seed() {
  local corpus=corpus/$1
  shift
  mkdir -p "$corpus"
  local file
  for file in "$@"; do
    [ -f "$file" ] || continue
    head -c 4096 "$file" >"$corpus/seed-$(basename "$file")"
  done
}
fixtures=../tests/fixtures
seed framing "$fixtures"/lines/*
seed json_line "$fixtures"/lines/*
seed otlp "$fixtures"/otlp/*.binpb
seed config ../config/*.yaml

for target in "${targets[@]}"; do
  echo "== fuzz $target, $seconds s"
  mkdir -p "corpus/$target" "artifacts/$target"
  limits=(-max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048)
  log=artifacts/$target/last.log
  if ! "$CARGO_TARGET_DIR/$host/release/$target" "${limits[@]}" -seed="${SEED:-0}" -print_final_stats=1 \
    -artifact_prefix="artifacts/$target/" "corpus/$target" </dev/null >"$log" 2>&1; then
    tail -n 60 "$log"
    echo "fuzz: $target failed, see fuzz/$log"
    exit 1
  fi
  grep -E '^stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)|DONE' "$log"
done
