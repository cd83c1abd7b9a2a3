#!/usr/bin/env bash
# Shows that the laws of the simulation bite: plants one bug at a time (tests/mutants/*.patch) and simulates until a law
# breaks. Before that it simulates the tree as it is, with seeds that nobody has tried: there no law may break.
# Fails when a bug is not caught, is caught by another law than its patch names, or when a law breaks without a bug.
#
#   tests/mutants/run.sh [--fresh SEEDS] [--fixed SEEDS] [NAME...]
#
# --fresh: so many fresh seeds for the tree as it is, and as many for each bug that the fixed seeds do not show (100).
# --fixed: for each bug the seeds from 1 to this one come first (150).
# NAME:    these bugs only, by the names of their patches.
# MUTANTS_TARGET: where it builds (target/mutants); a second run finds everything built.
# CARGO: what builds (cargo).
set -euo pipefail
cd "$(dirname "$0")/../.."

fresh=100 fixed=150 names=()
while [ $# -gt 0 ]; do
  case "$1" in
    --fresh) fresh=$2; shift 2 ;;
    --fixed) fixed=$2; shift 2 ;;
    -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "unknown option $1; see $0 --help" >&2; exit 2 ;;
    *) names+=("$1"); shift ;;
  esac
done
if [ ${#names[@]} -eq 0 ]; then
  for patch in tests/mutants/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

root=$PWD
target=${MUTANTS_TARGET:-$root/target/mutants}
tree=$target/tree
mkdir -p "$target"
rm -rf "$tree"
mkdir "$tree"
trap 'rm -rf "$tree"' EXIT
# What git tracks, as it lies here now.
git ls-files -z | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
  tar --null --files-from=- -cf - | tar -xf - -C "$tree"
# The copy is no repository, nor a part of one: else `git apply` would look for its files in that.
export GIT_CEILING_DIRECTORIES=$target

# Builds the simulation of the scratch tree. Only files that a patch touches are newer, so the rest is not built again.
build() {
  (cd "$tree" && CARGO_TARGET_DIR=$target "${CARGO:-cargo}" build --quiet --example simulate) >"$tree/build.log" 2>&1 || {
    cat "$tree/build.log"
    return 1
  }
}

# With the scenario that a patch names; the swarm for the others.
scenario=swarm
simulate() { "$target/debug/examples/simulate" --until-broken --scenario "$scenario" "$@" >"$tree/out.log" 2>&1; }

# "LAW REQUESTS" of the last simulation; "- REQUESTS" where no law broke.
outcome() {
  awk '/^law / && !law { law = $2 } $1 == "requests" && NF == 2 { requests = $2 } END { print (law ? law : "-"), requests + 0 }' "$tree/out.log"
}

failed=0
from=$(($(od -An -N4 -tu4 /dev/urandom) + 1000000))

build
if ! simulate --seeds "$from..$((from + fresh))"; then
  cat "$tree/out.log"
  echo "A law breaks without a planted bug." >&2
  exit 1
fi
read -r _ requests <<<"$(outcome)"
printf '%-32s %-14s %-10s %9s  %s\n' mutant 'must break' broke requests seeds
printf '%-32s %-14s %-10s %9s  %s\n' '(none)' - - "$requests" "$from..$((from + fresh))"

for name in "${names[@]}"; do
  patch=$root/tests/mutants/$name.patch
  laws=$(sed -n '1s/.*Must break: \([^.]*\)\..*/\1/p' "$patch")
  scenario=$(sed -n '1s/.* Scenario: \([a-z-]*\)\.$/\1/p' "$patch")
  scenario=${scenario:-swarm}
  file=$(sed -n 's|^+++ b/||p' "$patch")
  cp "$tree/$file" "$tree/original"
  (cd "$tree" && git apply "$patch")
  # A build may take the same second for the same file.
  touch "$tree/$file"
  if build; then
    seeds="1..$((fixed + 1))"
    if simulate --seeds "$seeds"; then
      before=$(outcome)
      seeds="$from..$((from + fresh))"
      simulate --seeds "$seeds" || true
      read -r law requests <<<"$(outcome)"
      requests=$((requests + ${before#* }))
    else
      read -r law requests <<<"$(outcome)"
    fi
  else
    law='no build' requests=0
  fi
  verdict=
  case " $laws " in
    *" $law "*) ;;
    *) verdict='  NOT CAUGHT'; failed=$((failed + 1)) ;;
  esac
  printf '%-32s %-14s %-10s %9s  %s%s\n' "$name" "$laws" "$law" "$requests" "$seeds" "$verdict"
  cp "$tree/original" "$tree/$file"
  touch "$tree/$file"
done

[ "$failed" -eq 0 ] || { echo "$failed planted bugs are not caught by the law that must catch them." >&2; exit 1; }
