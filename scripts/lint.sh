#!/usr/bin/env bash
# Every check runs, even after one failed; the last line says which did.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.tools/bin:$PWD/node_modules/.bin:$PATH

failed=()
check() {
  local name=$1
  shift
  if "$@"; then echo "lint: $name ok"; else failed+=("$name"); fi
}

command -v cargo-fmt >/dev/null || echo "lint: rustfmt is missing; run: rustup component add rustfmt" >&2
check rustfmt cargo fmt --check
for project in examples/wasi-service benches/wasi-http tests/packaging/compose; do
  check "rustfmt $project" cargo fmt --check --manifest-path $project/Cargo.toml
done
check clippy cargo clippy --locked --quiet --all-targets --features internals -- -D warnings
check clippy-wasm cargo clippy --locked --quiet --target wasm32-unknown-unknown --lib -- -D warnings
# A component's two worlds; scripts/bootstrap.sh says so where the target can't be had.
if [[ -d $(rustc --print sysroot)/lib/rustlib/wasm32-wasip2 ]]; then
  for world in library command; do
    check "clippy-$world" cargo clippy --locked --quiet --target wasm32-wasip2 --no-default-features --features $world -- -D warnings
  done
  for project in examples/wasi-service benches/wasi-http; do
    check "clippy $project" cargo clippy --locked --quiet --target wasm32-wasip2 --target-dir target \
      --manifest-path $project/Cargo.toml -- -D warnings
  done
else
  echo "lint: the component is not checked: no standard library for wasm32-wasip2" >&2
fi
# Every set of features: what one of them needs of another would be found by its users.
each_set_of_features() {
  local sets=("") feature set
  for feature in gallery many outbox relay resumable; do
    for set in "${sets[@]}"; do sets+=("$set,$feature"); done
  done
  for set in "${sets[@]}"; do
    RUSTFLAGS="-D warnings" cargo check --locked --quiet --target wasm32-unknown-unknown --lib \
      --no-default-features --features "$set" --target-dir target/features || return 1
  done
}
check features each_set_of_features
check rustdoc env RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --no-deps --document-private-items
check biome biome check
# A page and a Worker have other globals, hence projects of their own.
for project in tsconfig.json www/*/tsconfig.json www/*/src/*/tsconfig.json; do
  [[ ! -f $project ]] || check "tsc $project" tsc --noEmit --strict --project "$project"
done

((${#failed[@]} == 0)) || { echo "lint: failed: ${failed[*]}" >&2; exit 1; }
