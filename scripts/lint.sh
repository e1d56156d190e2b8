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
check clippy cargo clippy --locked --quiet --all-targets -- -D warnings
check clippy-wasm cargo clippy --locked --quiet --target wasm32-unknown-unknown --lib -- -D warnings
check rustdoc env RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --no-deps
check biome biome check
# A page and a Worker have other globals, hence projects of their own.
for project in tsconfig.json www/*/tsconfig.json www/*/src/*/tsconfig.json; do
  [[ ! -f $project ]] || check "tsc $project" tsc --noEmit --strict --project "$project"
done

((${#failed[@]} == 0)) || { echo "lint: failed: ${failed[*]}" >&2; exit 1; }
