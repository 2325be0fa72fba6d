# Shell functions of the tests of the command line. Sets program, cores, dir (a scratch folder,
# removed at the end) and core; the working folder is that of the unpacked shipped cores.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
program=${GCORE_INSPECT:-$top/build/gcore-inspect}
[[ $program == /* ]] || program=$PWD/$program
cores=${GCORE_COREFILES:-$top/build/corefiles}
"$top/corefiles/unpack" >/dev/null || { echo "0 passed, 1 failed"; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export LC_ALL=C.UTF-8 TERM=dumb
unset NO_COLOR PAGER
cd "$cores" || exit 1
passed=0 failed=0
core=abba-go1.27.4.core

fail() {
	echo "FAIL: $1"
	failed=$((failed + 1))
	sed 's/^/  out: /' "$dir/out" | head -n 5
	sed 's/^/  err: /' "$dir/err" | head -n 5
}

# t STATUS ARGUMENT...: the exit status; output stays in out and err.
t() {
	local want=$1 status
	shift
	what="exit $want: gcore-inspect $*"
	timeout 60 "$program" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	if [ $status = "$want" ]; then
		passed=$((passed + 1))
	else
		fail "$what: it was $status"
	fi
}
check() {
	if "$@" >/dev/null; then passed=$((passed + 1)); else fail "$what: $*"; fi
}
out() { check grep -qE -e "$1" "$dir/out"; }
err() { check grep -qE -e "$1" "$dir/err"; }
no_out() { check test ! -s "$dir/out"; }
no_err() { check test ! -s "$dir/err"; }
# One clear line says what is wrong; remarks on what was read may follow.
one_line() { check test "$(grep -vc '^note: ' "$dir/err")" = 1; }

