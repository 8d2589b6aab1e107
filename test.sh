#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What `make test` runs. Each part is named as it starts and counted at the end. A part that can't run here is left out and says why;
# with CI=true leaving something out is a failure.
set -uo pipefail
cd "$(dirname "$0")"

left_out=() failed=() passed=() beyond_reach=()

run() { # run NAME COMMAND…
  local name=$1 start=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  if "$@"; then
    passed+=("$name $((SECONDS - start))s")
  else
    failed+=("$name")
  fi
}

leave_out() { # leave_out NAME WHY
  printf '\n== %s: left out: %s\n' "$1" "$2"
  left_out+=("$1: $2")
}

# beside starts a part that computes, on what the processor has left while later parts wait; joined shows what it wrote, and counts it.
beside() { # beside PART
  mkdir -p build
  rm -f "build/$1.counted"
  (
    renice -n 19 "$BASHPID" >/dev/null
    left_out=() failed=() passed=()
    "$1" >"build/$1.log" 2>&1
    declare -p left_out failed passed >"build/$1.counted"
  ) &
}

joined() { # joined PART
  wait
  cat "build/$1.log"
  [ -s "build/$1.counted" ] || { failed+=("$1: cut short"); return; }
  eval "$(sed 's/^declare -a /local -a its_/' "build/$1.counted")"
  left_out+=("${its_left_out[@]}") failed+=("${its_failed[@]}") passed+=("${its_passed[@]}")
}

contracts() {
  if ! command -v npm >/dev/null; then
    leave_out contracts "npm is not installed"
    return
  fi
  run contracts contracts/test.sh
  if command -v z3 >/dev/null || { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }; then
    run "contracts: proofs" contracts/smt.sh
  else
    leave_out "contracts: proofs" "z3 is not installed, and installing it needs root and apt"
  fi
}

# What the later parts take from elsewhere comes while the first one computes: one waits for the network, the other for the processor.
# Nothing is said of what fails here, because the part that needs it says so.
fetch() {
  local dir
  for dir in devnet devnet/cluster devnet/tools/*/ e2e/oracle e2e/stacks/apps; do (cd "$dir" && go mod download); done
  ! command -v apt-get || e2e/stacks/packages.sh
  ! command -v npm || contracts/install.sh
}

go_tests() { run "go test -race" go test -race ./...; }

# Tests that run beside the devnet's programs are compiled as these are, so that what both consist of is compiled once: a cold machine needs
# minutes for it.
plain() { # plain DIR ARGUMENT…
  local dir=$1
  shift
  CGO_ENABLED=0 go test -C "$dir" -trimpath "$@"
}

devnet_unit() {
  run "devnet: go test" plain devnet ./...
  run "devnet: go test of its kube-router" plain devnet/tools/kube-router ./...
  run "oracle: go test" plain e2e/oracle ./...
}

e2e() {
  if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
    leave_out e2e "the devnet needs Linux and root"
    return
  fi
  command -v apt-get >/dev/null || leave_out "e2e: stacks" "their servers are Debian packages, and apt is not installed"
  run "e2e: devnet up" make --no-print-directory devnet
  run "e2e: make demo" make --no-print-directory demo # on the devnet that is up, and leaves it so
  # One package after the other: they share the devnet, and faults breaks it. What vet says of them it said in the first part. Left out, for
  # the time that a cold run of everything may take, is the doctor seeing each of its checks fail: three minutes, in ./test.sh faults.
  APOCRYPH_E2E=1 run "e2e: go test" plain . -vet=off -count=1 -p 1 -timeout 40m \
    -skip 'TestTheDoctorSees/(a_(network|cluster|storage|chain|gas)|cluster_DNS|an_image|something|pods|evidence)' ./e2e/...
  cat build/oracle-*.txt # what was billed beside what the container runtime recorded
  run "e2e: devnet down leaves nothing" build/bin/devnet down
}

# From the version before this one to this one, under a running app, and to the end; on a devnet of its own.
upgrade() {
  APOCRYPH_E2E=1 APOCRYPH_UPGRADE=1 run "upgrade from ${APOCRYPH_UPGRADE_FROM:-HEAD~1}" plain . -count=1 -v -timeout 40m ./e2e/upgrade
}

# The fault matrix at length, RUNS runs from SEED on, after all that the doctor has to see.
faults() {
  run "faults: devnet up" build/bin/devnet up
  APOCRYPH_E2E=1 run "faults: the doctor sees" plain . -count=1 -run TestTheDoctorSees ./e2e
  APOCRYPH_E2E=1 APOCRYPH_FAULT_RUNS="${RUNS:-1000}" APOCRYPH_FAULT_SEED="${SEED:-1}" \
    run "faults: ${RUNS:-1000} runs" plain . -count=1 -timeout 12h -run TestFaults ./e2e/faults
  run "faults: devnet down leaves nothing" build/bin/devnet down
}

# Every fuzz target there is, FUZZ executions each. With FUZZ=0 it only counts them. What a target writes is in memory, where there is a place
# for that: a disk makes it wait for most of its time. Making what is new as small as can be takes the same, so it gets little.
fuzz() {
  local list first pkg names=() runs=${FUZZ:-1000000} memory=/dev/shm
  [ -w "$memory" ] || memory=${TMPDIR:-/tmp}
  list=$(go test -list '^Fuzz' ./...) || { failed+=("fuzz: listing the targets"); return; }
  while read -r first pkg _; do
    case $first in
      Fuzz*) names+=("$first") ;;
      ok)
        for name in "${names[@]}"; do
          if [ "$runs" = 0 ]; then
            printf '%s %s\n' "$pkg" "$name"
          else
            run "fuzz: ${pkg#*/apocryph/apocryph/} $name" env TMPDIR="$memory" GOTMPDIR="${TMPDIR:-/tmp}" \
              go test "$pkg" -run '^$' -fuzz "^$name\$" -fuzztime "${runs}x" -fuzzminimizetime 100x </dev/null
          fi
        done
        names=()
        ;;
    esac
  done <<<"$list"
}

vulnerabilities() {
  printf '\n== govulncheck\n'
  if out=$(go tool -modfile=tools/vuln/go.mod govulncheck ./... 2>&1); then
    passed+=(govulncheck)
  else
    # Its database is not reachable everywhere, which is no failure even with CI=true; where it is, findings fail.
    case $out in
      *"fetching vulnerabilities"*) beyond_reach+=("govulncheck: this machine can't reach the database of vulnerabilities") ;;
      *) printf '%s\n' "$out"; failed+=(govulncheck) ;;
    esac
  fi
}

case ${1:-all} in
  all)
    fetch >/dev/null 2>&1 &
    go_tests
    wait
    devnet_unit
    beside contracts
    e2e
    joined contracts
    ;;
  e2e) e2e ;;
  faults) faults ;;
  fuzz) fuzz ;;
  upgrade) upgrade ;;
  vulnerabilities) vulnerabilities ;;
  *) echo "test.sh: unknown part $1" >&2; exit 2 ;;
esac

printf '\n'
for p in "${passed[@]:-}"; do [ -z "$p" ] || printf 'ok        %s\n' "$p"; done
for l in "${left_out[@]:-}"; do [ -z "$l" ] || printf 'left out  %s\n' "$l"; done
for b in "${beyond_reach[@]:-}"; do [ -z "$b" ] || printf 'left out  %s\n' "$b"; done
for f in "${failed[@]:-}"; do [ -z "$f" ] || printf 'FAILED    %s\n' "$f"; done
printf '%d passed, %d failed, %d skipped\n' "${#passed[@]}" "${#failed[@]}" "$((${#left_out[@]} + ${#beyond_reach[@]}))"
[ ${#failed[@]} -eq 0 ] || exit 1
[ ${#left_out[@]} -eq 0 ] || [ "${CI:-}" != true ] || { echo "CI=true: leaving something out is a failure"; exit 1; }
