#!/usr/bin/env bash
# Builds the components of wit/'s two worlds into target/component: library.wasm for other components, command.wasm to be run;
# and what jco makes of them, for the tests in Node.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.tools/bin:$PWD/node_modules/.bin:$PATH

out=target/component
built=${CARGO_TARGET_DIR:-target}/wasm32-wasip2/release
inputs=(src wit Cargo.toml Cargo.lock .cargo scripts/component.sh scripts/component.mjs package-lock.json tests/component/tools/package-lock.json)
if [[ -f $out/.built && -z $(find "${inputs[@]}" -newer $out/.built -print -quit) ]]; then
  node scripts/component.mjs $out
  exit
fi

if [[ ! -d $(rustc --print sysroot)/lib/rustlib/wasm32-wasip2 ]]; then
  echo "component: no standard library for wasm32-wasip2; run: rustup target add wasm32-wasip2" >&2
  exit 1
fi

mkdir -p $out
rm -f $out/.built
started=$(mktemp)
trap 'rm -f "$started"' EXIT
echo "component: cargo, wasm-opt"
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
for world in library command; do
  compile $world
  optimize $world
done
ln -sfn ../../tests/component/tools/node_modules $out/node_modules
node scripts/component.mjs $out wrap
touch -r "$started" $out/.built
