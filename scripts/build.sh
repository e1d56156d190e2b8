#!/usr/bin/env bash
# Builds the crate into pkg/wasm, once for each of the package's entries (a module and its JS glue), and prints what a page has
# to load; fails where that is more than size-budget.json allows.
# With NAMED_WASM, a file's name, it only writes the last build's module there, the outbox's, optimized alike, with its
# functions' names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.tools/bin:$PWD/node_modules/.bin:$PATH

out=pkg/wasm
# An entry's files, and the features of the crate it has. The outbox's, which has all of them, is built last.
entries=(imagen_cloud imagen_cloud_outbox)
declare -A features=([imagen_cloud]=gallery,many,relay,resumable [imagen_cloud_outbox]=gallery,many,outbox,relay,resumable)
built=${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/release/imagen_cloud.wasm

# Only features that wasm-bindgen's output uses and that every supported host has; --all-features would let
# wasm-opt emit what browsers don't know yet.
# Twice and once more behind the new order, since each time leaves something to do. Functions with one caller stay apart: put
# together they are 3 % smaller, but brotli then finds less that repeats, and they are 3 % larger. So it is with what is computed
# twice (local-cse) and with locals that are used once (simplify-locals): left as they are they are 1 % larger, and 1 % smaller
# for brotli.
passes=(-Oz --one-caller-inline-max-function-size=20 --skip-pass=local-cse --skip-pass=simplify-locals
  --strip-producers --strip-target-features
  --enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals
  --enable-reference-types --enable-multivalue)
# Makes of wasm-bindgen's module one that is small in brotli; the last argument says what becomes of its functions' names.
optimize() {
  node scripts/panics.mjs "$1"
  wasm-opt -Oz "${passes[@]}" --debuginfo "$1" -o "$1"
  node scripts/order.mjs "$1"
  wasm-opt "${passes[@]}" --reorder-functions-by-name "$3" "$1" -o "$2"
}
# --omit-default-module-path: the package's loaders say where the module is; bundlers must not guess.
bind=(wasm-bindgen "$built" --target web --omit-default-module-path)

if [[ -n ${NAMED_WASM:-} ]]; then
  next=$(mktemp -d)
  trap 'rm -rf "$next"' EXIT
  "${bind[@]}" --out-dir "$next" --out-name named
  optimize "$next/named_bg.wasm" "$NAMED_WASM" --debuginfo
  exit
fi

# The package has the migrations too: an application's own project takes them from there.
mkdir -p pkg/migrations
rm -f pkg/migrations/*.sql
cp supabase/migrations/*.sql pkg/migrations/

# Nothing to do when no input is newer than the last output.
inputs=(src Cargo.toml Cargo.lock scripts/{build.sh,glue.mjs,panics.mjs,order.mjs,leb128.mjs} package-lock.json)
[[ ! -d .cargo ]] || inputs+=(.cargo)
if [[ -f $out/.built && -f Cargo.lock && -z $(find "${inputs[@]}" -newer $out/.built -print -quit) ]]; then
  node scripts/sizes.mjs
  exit
fi

started=$(mktemp)
next=$(mktemp -d)
trap 'rm -rf "$started" "$next"' EXIT
echo "build: cargo, wasm-bindgen, wasm-opt"
# Panics say where they happened: by paths that mean something elsewhere too.
paths=("--remap-path-prefix=$PWD=." "--remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=rust")
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do paths+=("--remap-path-prefix=$registry=crates"); done
# Not by RUSTFLAGS, which would replace the flags in .cargo/config.toml.
flags="target.wasm32-unknown-unknown.rustflags=[$(printf '"%s",' "${paths[@]}")]"
optimizing=()
for entry in "${entries[@]}"; do
  # As a cdylib alone: where an rlib is asked for too, the compiler does no optimization of all crates together, whatever the
  # profile says, and the module is 15 % larger.
  cargo rustc --locked --quiet --release --target wasm32-unknown-unknown --lib --crate-type cdylib --config "$flags" \
    --no-default-features --features "${features[$entry]}"
  "${bind[@]}" --out-dir "$next" --out-name "$entry"
  rm "$next/${entry}_bg.wasm.d.ts" # the exports' own names are the glue's affair
  node scripts/glue.mjs "$next" "$entry"
  # While the next one compiles.
  optimize "$next/${entry}_bg.wasm" "$next/${entry}_bg.wasm" --strip-debug &
  optimizing+=($!)
done
for each in "${optimizing[@]}"; do wait "$each"; done
# The outbox's IndexedDB wrapper comes along, so that the package needs no dependency and no bundler.
esbuild node_modules/idb/build/index.js --bundle --format=esm --minify --legal-comments=inline \
  --banner:js='// idb, ISC licence, https://github.com/jakearchibald/idb' --log-level=warning --outfile="$next/idb.js"
# The columns' names, for what asks for them without loading the module.
{
  echo "// The columns of imagen.images, out of src/image/row.rs."
  echo "export const COLUMNS = ["
  sed -n '/^pub const COLUMNS/,/^];/s/^ *\(".*",\)$/  \1/p' src/image/row.rs
  echo "];"
} >"$next/columns.js"
# What makes errors lies in a folder with a hash in its name: here is where the package's own JavaScript finds it.
for host in "$next"/snippets/*/src/host/host.js; do
  echo "export { failure, ImagenCloudError, isImagenCloudError } from \".${host#"$next"}\";" >"$next/errors.js"
done

# The modules once more as text, for bundlers that move the loader away from the file: nothing else loads them.
for entry in "${entries[@]}"; do
  {
    echo "// ${entry}_bg.wasm in base64. Only where the file itself can't be read, as in a server's bundle."
    echo "export default \"$(base64 -w 0 "$next/${entry}_bg.wasm")\";"
  } >"$next/${entry/imagen_cloud/inline}.js"
done

# Whole or not at all: a server or a test may be reading the folder.
mkdir -p $out
rm -rf "$out/.next"
cp -R "$next" "$out/.next"
chmod -R u=rwX,go=rX "$out/.next"
(
  cd "$out/.next"
  find . -type d -exec mkdir -p ../{} \;
  find . -type f -exec mv -f {} ../{} \;
)
rm -rf "$out/.next"
# What an earlier build wrote and this one does not would be packed with it.
find $out -type f ! -name .built -printf '%P\n' | while read -r file; do
  [[ -e $next/$file ]] || rm "$out/$file"
done
find $out -type d -empty -delete
touch -r "$started" $out/.built # an input changed while we built is newer
node scripts/sizes.mjs
