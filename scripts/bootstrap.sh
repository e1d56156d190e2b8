#!/usr/bin/env bash
# Sets up what is missing and links it into .tools/bin, which make puts first in PATH.
#   scripts/bootstrap.sh build   Rust with a wasm32 standard library, wasm-bindgen, Node and the npm packages
#   scripts/bootstrap.sh test    also wasm-pack, Chromium, ChromeDriver, Firefox, WebKit and PostgreSQL's programs
#   scripts/bootstrap.sh component  what build needs, and what makes a component of the core module
#   scripts/bootstrap.sh audit   what build needs, and cargo-deny
#   scripts/bootstrap.sh fuzz    what build needs, and cargo-fuzz
#   scripts/bootstrap.sh docs    what build needs, Chromium, and what makes the documentation's site
#   scripts/bootstrap.sh package what test needs, and the bundlers, runtimes and checkers of tests/packaging/tools
# What the machine already has is used. The rest goes into a per-user cache, by version, so that a second
# clone costs nothing. Each need is met in the ordinary way first; where only package registries can be
# reached (no rustup downloads, no release pages), Debian's packages, crates and npm packages stand in.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
level=${1:-build}
case $level in
  build | test | component | package | docs | audit | fuzz) ;;
  *) echo "usage: scripts/bootstrap.sh [build|test|component|package|docs|audit|fuzz]" >&2; exit 2 ;;
esac

cache=${XDG_CACHE_HOME:-$HOME/.cache}/imagen-cloud
bin=$root/.tools/bin
target=wasm32-unknown-unknown
wasi=wasm32-wasip2
wasm_pack_version=0.15.1
wasmtime_version=50.0.1
componentize_version=0.25.1
cargo_deny_version=0.20.2
cargo_fuzz_version=0.13.2
node_version=22.23.3 # fetched only where the user's is older than node_oldest
node_oldest=22
firefox_oldest=147
mkdir -p "$cache/logs" "$bin"

# The user's own tools are looked for without our links in the way.
search=":$PATH:"
# Again and again: of two neighbours one replacement takes only the first.
while [[ $search == *":$bin:"* ]]; do search=${search//":$bin:"/:}; done
search=${search#:}
search=${search%:}
export PATH=$bin:$search

say() { echo "setup: $*"; }
die() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}
users() { PATH=$search type -P "$1" || true; }
link() { ln -sfn "$2" "$bin/$1"; }

# Long steps are quiet; a failure shows the end of what they said.
logged() {
  local log=$cache/logs/$1.log
  shift
  "$@" >"$log" 2>&1 9>&- || {
    tail -n 20 "$log" >&2
    echo "setup: failed: $* (the whole log: $log)" >&2
    return 1
  }
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}
can_root() { [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null; }

# apt_install WHAT PACKAGE...: or says which command the user has to run.
apt_install() {
  local what=$1
  shift
  command -v apt-get >/dev/null || die "missing: $what. There is no apt-get here:" \
    "install it with this system's package manager (Debian's names: $*), then run this again."
  can_root || die "missing: $what. Installing it needs root. Run:" \
    "  sudo apt-get update && sudo apt-get install --no-install-recommends $*"
  say "$what: apt-get install $*"
  # Package lists may be absent on a fresh machine, or old: they would bring last spring's browsers.
  # One broken source of many is no reason to stop.
  [[ -n ${refreshed:-} ]] || logged apt-update as_root apt-get update || say "going on with the package lists that are here"
  refreshed=1
  logged "apt-$1" apt_get "$@"
}
apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@"
}

# ---- Rust -----------------------------------------------------------------------------------------------

# Can this rustc build and link a wasm module of the edition we use? Asking it to is the only sure test:
# a standard library left by another compiler version is there but of no use.
builds_wasm() {
  local for=${2:-$target}
  [[ -x $1 ]] || return 1
  local out
  out=$(mktemp -d)
  echo 'pub fn f() -> String { String::new() }' |
    "$1" --edition 2024 --crate-type cdylib --target "$for" -o "$out/t.wasm" - 2>"$out/errors"
  local ok=$?
  rm -rf "$out"
  return $ok
}

use_rust() {
  local dir=$1 tool other
  for tool in cargo rustc rustdoc cargo-clippy clippy-driver rustfmt cargo-fmt; do
    rm -f "$bin/$tool"
    if [[ -x $dir/$tool ]]; then
      link $tool "$dir/$tool"
    elif [[ $tool == *fmt ]]; then
      # Debian's compiler comes without rustfmt; any version formats alike, so take the user's.
      other=$(PATH=$search rustup which $tool 2>/dev/null || users $tool)
      [[ -z $other ]] || link $tool "$other"
    fi
  done
  say "rust: $("$bin/rustc" --version) from $dir"
}

toolchain_of() { echo "$("$1" --print sysroot)/bin"; }

need_rust() {
  [[ -x $bin/cargo ]] && builds_wasm "$bin/rustc" && return

  local rustc
  rustc=$(users rustc)
  if [[ -n $rustc ]] && ! builds_wasm "$rustc" && [[ -n $(users rustup) ]]; then
    say "rust: rustup target add $target"
    PATH=$search logged rustup rustup target add $target 2>/dev/null || say "rust: rustup can't fetch it"
  fi
  if [[ -n $rustc ]] && builds_wasm "$rustc"; then
    use_rust "$(toolchain_of "$rustc")"
    return
  fi

  command -v apt-get >/dev/null || die "missing: Rust with the $target target. Install rustup, then run:" \
    "  rustup target add $target"
  debian_rust
  use_rust /usr/bin
}

# The component's target. Of its standard library there is no other maker than rustup: where rustup can't bring it, that is
# said, and what is about the component is left out.
need_wasi() {
  [[ -d $("$bin/rustc" --print sysroot)/lib/rustlib/$wasi ]] && return
  if [[ -n $(users rustup) ]]; then
    say "rust: rustup target add $wasi"
    PATH=$search logged rustup-wasi rustup target add $wasi 2>/dev/null && builds_wasm "$bin/rustc" $wasi && return
  fi
  say "rust: no standard library for $wasi (rustup target add $wasi): the component is left out"
}

# Debian has a current compiler (for its browsers) but no wasm32 standard library for it: build that from
# the source package. Its files go beside the compiler's own, where cargo, clippy and wasm-pack all find them.
debian_rust() {
  [[ -x /usr/bin/rustc && -x /usr/bin/cargo-clippy && -n $(compgen -G '/usr/src/rustc-*/library') ]] ||
    apt_install "Rust for $target" rustc-web cargo-web rust-web-src rust-web-llvm rust-web-clippy
  local release commit llvm
  release=$(/usr/bin/rustc -vV | sed -n 's/^release: //p')
  commit=$(/usr/bin/rustc -vV | sed -n 's/^commit-hash: //p')
  llvm=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
  [[ -x $(command -v "lld-$llvm") ]] || apt_install "the linker for $target" "lld-$llvm"
  builds_wasm /usr/bin/rustc && return

  local kept=$cache/std-$target-$release-${commit:0:9}
  if [[ ! -d $kept ]]; then
    say "rust: building the $target standard library of $release (about a minute)"
    rm -rf "$kept".*
    mkdir -p "$kept.source"
    cp -r "/usr/src/rustc-$release/library/." "$kept.source"
    # What the compiler's own build does: std's crates may use unstable features and are marked as std.
    # Neither --offline nor --locked: not all that std's lock file names is in Debian's source.
    logged std env -C "$kept.source" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
      __CARGO_DEFAULT_LIB_METADATA=stablestd CARGO_TARGET_DIR=target \
      RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes" \
      /usr/bin/cargo build --release --target $target --manifest-path sysroot/Cargo.toml --features panic-unwind
    mkdir "$kept.partial"
    cp "$kept.source/target/$target/release/deps/"*.rlib "$kept.partial"
    mv "$kept.partial" "$kept"
    rm -rf "$kept.source"
  fi
  local lib=/usr/lib/rustlib/$target/lib
  can_root || die "The $target standard library has to go beside Debian's compiler, which needs root. Run:" \
    "  sudo mkdir -p $lib && sudo cp $kept/*.rlib $lib"
  as_root mkdir -p $lib
  as_root find $lib -name '*.rlib' -delete
  as_root cp "$kept"/*.rlib $lib
  builds_wasm /usr/bin/rustc || die "rustc $release still can't build for $target with $kept in $lib."
}

# ---- cargo's programs -----------------------------------------------------------------------------------

# need_crate CRATE VERSION PROGRAM...: the user's if it is of this version, else built into the cache.
need_crate() {
  local crate=$1 version=$2 dir=$cache/$1-$2 program theirs locked=()
  shift 2
  [[ -x $bin/$1 && $(readlink "$bin/$1") == "$dir/"* ]] && return
  theirs=$(users "$1")
  if [[ -n $theirs && $("$theirs" --version) == *" $version" ]]; then
    for program in "$@"; do link "$program" "$(dirname "$theirs")/$program"; done
    return
  fi
  if [[ ! -d $dir ]]; then
    say "$crate $version: cargo install (some minutes)"
    rm -rf "$dir.partial"
    # wasm-bindgen-cli is not --locked: its lock file names a crate version that was withdrawn.
    [[ $crate == wasm-bindgen-cli ]] || locked=(--locked)
    # Lightly optimized: building them takes longer than they ever run.
    logged "$crate" env CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
      CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
      cargo install "${locked[@]}" "$crate" --version "$version" --root "$dir.partial" --target-dir "$dir.partial/target"
    rm -rf "$dir.partial/target"
    mv "$dir.partial" "$dir"
  fi
  for program in "$@"; do link "$program" "$dir/bin/$program"; done
  say "$crate $version"
}

# The CLI has to be of the very version that the crate was locked to.
wasm_bindgen_version() {
  [[ ! -f Cargo.lock ]] || awk '/^name = "wasm-bindgen"$/ { getline; gsub(/version = |"/, ""); print }' Cargo.lock
}

# ---- Node and the npm packages --------------------------------------------------------------------------

new_enough() { [[ -n $1 && -x $1 && $("$1" -p 'parseInt(process.versions.node)') -ge $node_oldest ]]; }

need_node() {
  local theirs program platform dir
  new_enough "$bin/node" && [[ -x $bin/npm && -x $bin/npx ]] && return
  [[ -n $(users npm) ]] || apt_install "Node.js with npm" nodejs npm
  theirs=$(users node)
  if new_enough "$theirs"; then
    link node "$theirs"
  else
    platform=$("$theirs" -p 'process.platform + "-" + process.arch')
    dir=$cache/node-$node_version
    if [[ ! -d $dir ]]; then
      say "node: $("$theirs" --version) is too old, fetching $node_version from npm"
      rm -rf "$dir.partial"
      PATH=$search logged node npm install --prefix "$dir.partial" --ignore-scripts --no-audit --no-fund "node-$platform@$node_version"
      mv "$dir.partial" "$dir"
    fi
    link node "$dir/node_modules/node-$platform/bin/node"
  fi
  for program in npm npx; do link $program "$(users $program)"; done
  say "node: $("$bin/node" --version), npm $("$bin/npm" --version)"
}

# need_npm_packages FOLDER FLAG...: what the folder's lock file names. No package runs an install script.
need_npm_packages() {
  local folder=$1
  shift
  # A copy of the lock file tells which one the folder was made from.
  cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json" && return
  say "npm ci${*:+ $*} in $folder"
  (cd "$folder" && logged npm-ci npm ci --ignore-scripts "$@")
  cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"
}

# need_python_package NAME VERSION WITHOUT: linked to .tools/NAME. Where there is no Python, it is said what is left out.
need_python_package() {
  local name=$1 version=$2 without=$3 dir=$cache/$1-$2 python
  [[ -d $root/.tools/$name && $(readlink "$root/.tools/$name") == "$dir" ]] && return
  python=$(users python3)
  if [[ ! -d $dir ]]; then
    rm -rf "$dir.partial"
    say "$name $version: pip install"
    [[ -n $python ]] && logged "$name" "$python" -m pip install --quiet --disable-pip-version-check --no-deps \
      --only-binary :all: --target "$dir.partial" "$name==$version" ||
      { say "$name: neither Python nor its package can be had: $without"; return; }
    mv "$dir.partial" "$dir"
  fi
  link python3 "$python"
  ln -sfn "$dir" "$root/.tools/$name"
}

# ---- for the tests --------------------------------------------------------------------------------------

# first NAME...: the first of these programs that the user has.
first() {
  local name found
  for name; do
    found=$(users "$name")
    [[ -z $found ]] || { echo "$found"; return; }
  done
}

# given PROGRAM: what a variable names, unless that is a link of ours, which would lead to itself.
given() { [[ $1 == "$bin"/* || $1 == .tools/bin/* ]] || echo "$1"; }

need_chromium() {
  local chrome driver shell missing=()
  chrome=$(given "${CHROME:-}")
  chrome=${chrome:-$(first chromium chromium-browser google-chrome google-chrome-stable)}
  driver=$(given "${CHROMEDRIVER:-}")
  driver=${driver:-$(first chromedriver)}
  if [[ -z $chrome ]]; then
    missing+=(chromium)
    # Not every Debian's relative has it.
    if apt-cache show chromium-headless-shell >/dev/null 2>&1; then missing+=(chromium-headless-shell); fi
  fi
  [[ -n $driver ]] || missing+=(chromium-driver)
  if ((${#missing[@]})); then
    apt_install "Chromium and ChromeDriver" "${missing[@]}" fonts-liberation
    chrome=${chrome:-$(first chromium)}
    driver=${driver:-$(first chromedriver)}
    say "$("$chrome" --version)"
  fi
  [[ -x $chrome ]] || die "CHROME=$chrome is not a program."
  [[ -x $driver ]] || die "CHROMEDRIVER=$driver is not a program."
  link chromium "$chrome"
  link chromedriver "$driver"
  # The same browser without its windows, for a quarter less of the processor's time.
  shell=$(first chromium-headless-shell chrome-headless-shell)
  [[ -z $shell ]] || link chromium-headless-shell "$shell"
}

# Older ones know no modules in service workers.
new_firefox() {
  local version
  version=$("$1" --version 2>/dev/null | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
  [[ ${version:-0} -ge $firefox_oldest ]]
}

need_firefox() {
  local firefox
  firefox=$(given "${FIREFOX:-}")
  firefox=${firefox:-$(first firefox firefox-esr)}
  if [[ -z $firefox ]] || ! new_firefox "$firefox"; then
    apt_install "Firefox $firefox_oldest or newer" firefox-esr
    firefox=$(first firefox-esr)
    say "$("$firefox" --version)"
  fi
  [[ -x $firefox ]] || die "FIREFOX=$firefox is not a program."
  new_firefox "$firefox" || die "$firefox is older than Firefox $firefox_oldest."
  link firefox "$firefox"
}

# Safari's engine: its own browser and driver, and a screen that nobody sees.
need_webkit() {
  local driver browser screen
  browser() { compgen -G '/usr/lib/*/webkit2gtk-4.*/MiniBrowser' || compgen -G '/usr/libexec/webkit2gtk-4.*/MiniBrowser' || true; }
  driver=${WEBKIT_DRIVER:-$(first WebKitWebDriver)}
  browser=${WEBKIT:-$(browser | tail -n 1)}
  screen=$(first Xvfb)
  if [[ -z $driver || -z $browser || -z $screen ]]; then
    apt_install "WebKit and a screen for it" webkit2gtk-driver xvfb
    driver=${driver:-$(first WebKitWebDriver)}
    browser=${browser:-$(browser | tail -n 1)}
    screen=$(first Xvfb)
  fi
  [[ -x $driver ]] || die "WEBKIT_DRIVER=$driver is not a program."
  [[ -x $browser ]] || die "WEBKIT=$browser is not a program."
  link WebKitWebDriver "$driver"
  link MiniBrowser "$browser"
  link Xvfb "$screen"
}

# Only the programs are needed; the tests start servers of their own.
need_postgres() {
  local dir program
  if [[ -z $(users initdb) && -z $(compgen -G '/usr/lib/postgresql/*/bin/initdb') ]]; then
    apt_install PostgreSQL postgresql
  fi
  if [[ -n $(users initdb) ]]; then
    dir=$(dirname "$(readlink -f "$(users initdb)")")
  else
    dir=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1)
  fi
  for program in initdb pg_ctl postgres psql; do
    [[ ! -x $dir/$program ]] || link $program "$dir/$program"
  done
}

# ---- all of it ------------------------------------------------------------------------------------------

# Two clones share the cache: one at a time. (Where there is no flock, as on macOS, that is up to the user.)
if command -v flock >/dev/null; then
  exec 9>"$cache/lock"
  flock -n 9 || { say "waiting for another set-up to end" && flock 9; }
fi

need_rust
need_wasi
bindgen=$(wasm_bindgen_version)
need_crate wasm-bindgen-cli "${bindgen:-0.2.130}" wasm-bindgen wasm-bindgen-test-runner
need_node
need_npm_packages .
[[ $level != audit ]] || need_crate cargo-deny $cargo_deny_version cargo-deny
[[ $level != fuzz ]] || need_crate cargo-fuzz $cargo_fuzz_version cargo-fuzz
if [[ $level == test || $level == package ]]; then
  need_crate wasm-pack $wasm_pack_version wasm-pack
  need_chromium
  need_firefox
  need_webkit
  need_postgres
fi
if [[ $level == test || $level == component || $level == package ]]; then
  need_npm_packages tests/component/tools
  need_python_package wasmtime $wasmtime_version "the component is tried in Node alone"
fi
if [[ $level == docs ]]; then
  need_chromium
  need_npm_packages docs/site
fi
# Install scripts would only copy Deno and Bun to where nobody looks for them.
if [[ $level == package ]]; then
  need_python_package componentize-py $componentize_version "the example in Python is left out"
  for lock in tests/packaging/tools/package-lock.json {tests/packaging/hosts,examples}/*/package-lock.json; do
    need_npm_packages "${lock%/*}"
  done
fi
