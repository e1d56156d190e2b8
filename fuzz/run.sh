#!/usr/bin/env bash
# Fuzzes each target for a while, one after another, and says what came of it.
#   fuzz/run.sh [TARGET...]   TIME=600: seconds a target; KEEP=1: takes what the run found into fuzz/corpus, as few inputs
#                             as reach the same code
# Needs a nightly Rust, and cargo-fuzz, which scripts/bootstrap.sh fuzz sets up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.tools/bin:$PATH

time=${TIME:-600}
targets=("$@")
((${#targets[@]})) || for file in fuzz/targets/*.rs; do targets+=("$(basename "$file" .rs)"); done

nightly=$(rustup which --toolchain nightly rustc 2>/dev/null) || {
  echo "fuzz: a nightly Rust is missing; run: rustup toolchain install nightly" >&2
  exit 1
}
PATH=$(dirname "$nightly"):$PATH
export CARGO_TARGET_DIR=$PWD/target/fuzz
mkdir -p "$CARGO_TARGET_DIR"
# No sanitizer: there is no unsafe code to watch, and so it goes three times as fast and its memory tells of ours.
build() { cargo fuzz "$1" --sanitizer none "${@:2}"; }
# The fuzzers' own dependencies are not the library's: they are locked apart. cargo-fuzz takes no --locked, so the lock
# file is held against them first.
cargo fetch --locked --quiet --manifest-path fuzz/Cargo.toml
build build 2>"$CARGO_TARGET_DIR.log" || { cat "$CARGO_TARGET_DIR.log" >&2; exit 1; }

node fuzz/seeds.mjs target/fuzz-seeds

failed=()
for target in "${targets[@]}"; do
  program=$(find "$CARGO_TARGET_DIR" -path "*/release/$target" -type f -perm -u+x -print -quit)
  work=target/fuzz-corpus/$target
  found=target/fuzz-found/$target
  log=target/fuzz-logs/$target.log
  mkdir -p "$work" "$found" "fuzz/corpus/$target" target/fuzz-logs
  status=0
  "$program" "$work" "fuzz/corpus/$target" "target/fuzz-seeds/$target" -artifact_prefix="$found/" -max_total_time="$time" -max_len=4096 -timeout=5 \
    -rss_limit_mb=512 -print_final_stats=1 -verbosity=1 >"$log" 2>&1 || status=$?
  features=$(grep -oE 'ft: [0-9]+' "$log" | tail -n 1)
  stat() { sed -n "s/^stat::$1: *//p" "$log"; }
  echo "fuzz: $target: ${time} s, $(stat number_of_executed_units) executions, features ${features#ft: }," \
    "$(find "$work" "fuzz/corpus/$target" -type f | wc -l) inputs, peak $(stat peak_rss_mb) MiB, status $status"
  if ((status != 0)); then
    failed+=("$target")
    grep -A3 -E "panicked at|ERROR: libFuzzer" "$log" | cut -c1-500
    continue
  fi
  if [[ -n ${KEEP:-} ]]; then
    kept=target/fuzz-kept/$target
    rm -rf "$kept"
    mkdir -p "$kept"
    # By the code that is reached, not by how often: a tenth of the files.
    "$program" -set_cover_merge=1 -use_counters=0 -max_len=4096 "$kept" "fuzz/corpus/$target" "$work" \
      "target/fuzz-seeds/$target" >>"$log" 2>&1
    rm -rf "fuzz/corpus/$target"
    mv "$kept" "fuzz/corpus/$target"
  fi
done
((${#failed[@]} == 0)) || { echo "fuzz: failed: ${failed[*]}; the inputs are in target/fuzz-found" >&2; exit 1; }
