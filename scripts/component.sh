#!/usr/bin/env bash
# Builds the components of wit/'s two worlds into target/component: library.wasm for other components, command.wasm to be run;
# and what jco makes of them, for the tests in Node. What has not changed is not made again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.tools/bin:$PWD/node_modules/.bin:$PATH

out=target/component
built=${CARGO_TARGET_DIR:-target}/wasm32-wasip2/release
worlds=(library command)

if [[ ! -d $(rustc --print sysroot)/lib/rustlib/wasm32-wasip2 ]]; then
  echo "component: no standard library for wasm32-wasip2; run: rustup target add wasm32-wasip2" >&2
  exit 1
fi

# is_current FILE INPUT...: no input is newer than the file, or gone.
is_current() {
  local file=$1 newer
  shift
  [[ -f $file ]] && newer=$(find "$@" -newer "$file" -print -quit 2>/dev/null) && [[ -z $newer ]]
}

# What a world's core module was compiled from. A page's and the outbox's part of src/ is nothing of either world's.
sources_of() {
  echo wit Cargo.toml Cargo.lock .cargo scripts/component.sh package-lock.json
  # As make reads it: the file, a colon, its sources.
  [[ ! -f $out/$1.d ]] || sed -n '1s/^[^:]*: //p' "$out/$1.d"
}

# The linker leaves the core module as it is, so that wasm-opt, which knows no components, can have it first.
compile() {
  cargo rustc --locked --quiet --release --target wasm32-wasip2 --no-default-features --features "$1" --lib --crate-type cdylib \
    -- -C link-arg=--skip-wit-component -C strip=debuginfo "--remap-path-prefix=$PWD=." \
    "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
}

optimize() {
  wasm-opt -Oz --strip-debug --strip-producers --enable-bulk-memory --enable-bulk-memory-opt \
    --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals --enable-reference-types \
    --enable-multivalue "$built/imagen_cloud.wasm" -o "$out/$1.core.wasm"
}

mkdir -p $out
started=$(mktemp)
trap 'rm -f "$started"' EXIT
for world in "${worlds[@]}"; do
  # Without -r, so that a space in a name stays in it.
  # shellcheck disable=SC2162
  read -a sources <<<"$(sources_of $world | tr "\n" " ")"
  # Cargo itself would compile each world anew every time: it knows a cdylib by its name alone, and takes one world's for the
  # other's with changed features.
  if [[ -f $out/$world.d ]] && is_current $out/$world.core.wasm "${sources[@]}"; then continue; fi
  echo "component: $world: cargo, wasm-opt"
  rm -f $out/$world.core.wasm
  compile $world
  optimize $world
  cp "$built/imagen_cloud.d" $out/$world.d
  touch -r "$started" $out/$world.core.wasm
done

if is_current $out/.built $out/{library,command}.core.wasm scripts/component.mjs tests/component/translate.mjs \
  tests/component/tools/package-lock.json; then
  node scripts/component.mjs $out
else
  rm -f $out/.built
  ln -sfn ../../tests/component/tools/node_modules $out/node_modules
  node scripts/component.mjs $out wrap
  touch -r "$started" $out/.built
fi
