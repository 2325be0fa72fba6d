# Shell functions of the oracle's scripts.

. "$(dirname "${BASH_SOURCE[0]}")/../../corefiles/lib.sh"
oracle_dir=$top_dir/tests/oracle
build_dir=${BUILD:-build}
[[ $build_dir == /* ]] || build_dir=$top_dir/$build_dir
compare=$build_dir/tests/oracle/compare
inspect=${GCORE_INSPECT:-$build_dir/gcore-inspect}
[[ $inspect == /* ]] || inspect=$PWD/$inspect

# oracle_build_compare: compiles the comparer if it is not up to date.
oracle_build_compare() {
	[[ $compare -nt $oracle_dir/compare.c ]] && return
	mkdir -p "${compare%/*}"
	${CC:-cc} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes \
		-Wstrict-prototypes -Wvla -Wpointer-arith -O2 -g -o "$compare" "$oracle_dir/compare.c" ||
		die "could not compile compare.c"
}

pairs_dir=$build_dir/oracle/pairs
shipped_dir=${GCORE_COREFILES:-$top_dir/build/corefiles}

# The programs in the order in which they are tried, the telling ones first.
# Not those that have threads of C alone: such a thread may be given the SIGQUIT that the runtime
# hands on from thread to thread, and then the process ends before all stacks are printed.
oracle_programs() {
	echo abba zoo zoo_cgo healthy busy
	cf_programs | grep -vx -e abba -e zoo -e zoo_cgo -e healthy -e busy -e cgo_healthy -e pthread_cond -e pthread_self
}

# The oldest release that is supported.
oracle_oldest=1.18

# oracle_releases [all]: those to run on. Without all: the one in PATH, the oldest and
# the newest that are here.
oracle_releases() {
	local -a here
	local path
	mapfile -t here < <(cf_go_roots | cut -d' ' -f1 |
		while read -r v; do
			[[ $(printf '%s\n' $oracle_oldest "$v" | sort -V | head -n 1) == "$oracle_oldest" ]] && echo "$v"
		done)
	((${#here[@]})) || return
	if [[ ${1-} == all ]]; then
		printf '%s\n' "${here[@]}"
		return
	fi
	path=$(command -v go >/dev/null && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null)
	printf '%s\n' "${here[@]}" | grep -x -F -e "${here[0]}" -e "${here[-1]}" -e "${path#go}"
}

. "$oracle_dir/builds.sh"
. "$oracle_dir/links.sh"
. "$oracle_dir/kinds.sh"
. "$oracle_dir/producers.sh"

# oracle_stem PROGRAM RELEASE: the beginning of a pair's name.
oracle_stem() {
	echo "$1-go$2$(cf_is_foreign && echo "-$cf_goarch")"
}

# oracle_pair PROGRAM RELEASE HOW [BUILD]: makes $pairs_dir/STEM.exe, .core and .txt if they
# are not there, newer than the program, and sets stem. HOW is quit, crash or ancestors.
oracle_pair() {
	local program=$1 release=$2 how=$3 build=${4:-default} root exe args=()
	stem=$(oracle_stem "$program" "$release")
	[[ $build == default ]] || stem+=-$build
	exe=$pairs_dir/$stem.exe
	stem+=-$how
	mkdir -p "$pairs_dir"
	root=$(cf_go_root "$release") || return 1
	if ! is_newer "$exe" "$programs_dir/$program"; then
		rm -f "${exe%.exe}".* "${exe%.exe}"-{quit,crash,ancestors}.*
		oracle_build "$build" "$root" "$release" "$program" "$exe" || return 1
	fi
	if ! is_newer "$pairs_dir/$stem.core" "$exe" || [[ ! -s $pairs_dir/$stem.txt ]]; then
		cf_env=()
		case $how in
		crash) args=(crash) ;;
		ancestors) cf_env=(GODEBUG=tracebackancestors=5) how=quit ;;
		esac
		cf_dump "$exe" "$pairs_dir" "$stem" "$how" "${args[@]}" || return 1
	fi
	pair_exe=$exe pair_core=$pairs_dir/$stem.core pair_text=$pairs_dir/$stem.txt
}

# is_newer FILE THAN: THAN may be a folder.
is_newer() {
	[[ -s $1 && -z $(find "$2" "$corefiles_dir/lib.sh" -newer "$1" -print -quit) ]]
}

# oracle_shipped: "STEM EXE CORE [TEXT]" of each shipped pair, unpacked.
oracle_shipped() {
	local core stem exe text
	"$corefiles_dir/unpack" | while read -r core; do
		stem=$(basename "$core" .core)
		exe=$(dirname "$core")/$stem.exe
		text=$(dirname "$core")/$stem.txt
		[[ -f $exe ]] || exe=$(dirname "$core")/${stem%-*}.exe
		[[ -f $text ]] || text=
		printf '%s %s %s %s\n' "$stem" "$exe" "$core" "$text"
	done
}
