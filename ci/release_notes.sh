#!/usr/bin/env bash
# ci/release_notes.sh VERSION: prints what CHANGELOG.md says of a version; 1 if it says nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -eq 1 ] || { sed -n 2p "$0" >&2; exit 2; }
notes=$(awk -v heading="## [$1]" 'index($0, heading) == 1 { on = 1; next } /^## / || /^\[/ { on = 0 } on' CHANGELOG.md)
[ -n "$notes" ] || { echo "CHANGELOG.md has nothing under \"## [$1]\"" >&2; exit 1; }
printf '%s\n' "$notes"
