#!/usr/bin/env bash
# Licences, sources and known weaknesses of everything that this is built on. The lists of weaknesses are asked of their
# servers: what could not be asked is said at the end, and is then not checked. Status 1 where something was found.
# target/sbom.cdx.json then lists what ships.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.tools/bin:$PATH

found=()
unchecked=()
# A report in JSON on standard output tells an answer from a server that gave none.
npm_audit() {
  local folder=$1 report
  report=$(cd "$folder" && npm audit --json 2>/dev/null) && { echo "audit: npm packages of $folder: nothing known"; return; }
  if [[ $report == *auditReportVersion* ]]; then
    (cd "$folder" && npm audit) || found+=("npm packages of $folder")
  else
    unchecked+=("weaknesses of npm packages of $folder (npm's audit service gave no report)")
  fi
}

node scripts/sbom.mjs target/sbom.cdx.json

cargo-deny --offline check bans licenses sources || found+=("licences, versions or sources of crates")
if ! said=$(cargo-deny check advisories 2>&1); then
  if [[ $said == *"failed to fetch advisory database"* ]]; then
    unchecked+=("weaknesses of crates (the advisory database of RustSec could not be fetched)")
  else
    echo "$said"
    found+=("crates with known weaknesses")
  fi
else
  echo "audit: crates: nothing known"
fi
npm_audit .
npm_audit tests/packaging/tools
npm_audit docs/site

for each in "${unchecked[@]}"; do echo "audit: NOT CHECKED: $each"; done
((${#found[@]} == 0)) || { printf 'audit: found: %s\n' "${found[@]}" >&2; exit 1; }
