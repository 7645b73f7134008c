# Sourced by the scripts that run the command as a user does: a scratch folder, counted checks, a last line "N passed, M failed".
espalier=$(realpath "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/espl-e2e.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
export OMP_NUM_THREADS=1 ESPL_ROOT=$root
good=0 bad=0 skipped=0

pass() { good=$((good + 1)); }
fail() { bad=$((bad + 1)); echo "FAIL $*"; }
skip() { skipped=$((skipped + 1)); echo "SKIP $*"; }
# check 'what' COMMAND...: the command must succeed; its output is shown when it does not
check() {
  local what=$1 out
  shift
  if out=$("$@" 2>&1); then pass; else fail "$what: $out"; fi
}
finish() {
  local more=""
  if [ $skipped -gt 0 ]; then more=", $skipped skipped"; fi
  echo "$good passed, $bad failed$more"
  [ $bad -eq 0 ]
}
