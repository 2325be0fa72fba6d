# The ways in which Go code is linked with other code, for the oracle's scripts (sourced by
# lib.sh; builds.sh tells what a way is). The program is "linked" mostly, once stuck and once
# well; libraries and plugins lie beside it.

oracle_builds+=" cgo-musl cgo-musl-static
	c-shared c-shared-stripped c-shared-bare c-shared-host-stripped
	dlopen dlopen-stripped dlopen-two
	c-archive c-archive-stripped c-archive-static c-archive-pie
	plugin plugin-stripped linkshared
	race race-stripped test-race msan asan"
oracle_builds=$(echo $oracle_builds)

# --- kinds of core ----------------------------------------------------------------

# Sanitizers take it upon themselves that there are no cores.
linked_dump() {
	local rc
	cf_env=(ASAN_OPTIONS=disable_coredump=0:detect_leaks=0 MSAN_OPTIONS=disable_coredump=0)
	[[ $1 == well ]] && cf_env+=(LINKED=well)
	shift
	cf_dump "$@"
	rc=$?
	cf_env=()
	return $rc
}
# As quit. In a C program the runtime leaves SIGQUIT alone: there the library crashes.
kind_linked() { linked_dump stuck "$@" quit; }
kind_linked_well() { linked_dump well "$@" quit; }
kind_linked_crash() { linked_dump stuck "$@" crash crash; }
kind_linked_crash_well() { linked_dump well "$@" crash crash; }

cells_linked() { printf 'linked %s\n' linked linked-well; }
cells_linked_crash() { printf 'linked %s\n' linked-crash linked-crash-well; }

# linked_needs TOOL: C compilers for other processors link nothing here but plain programs.
linked_needs() {
	if cf_is_foreign; then echo -; else tool "$1"; fi
}

# --- linked by the C compiler -------------------------------------------------------

linked_go() {
	cf_go_env+=(CGO_ENABLED=1)
	cf_build "$@"
}

needs_cgo_musl() { linked_needs musl-gcc; }
cells_cgo_musl() { cells_linked && echo zoo_cgo quit; }
build_cgo_musl() {
	cf_go_env+=(CC=musl-gcc)
	linked_go "$@" -tags=linked_lib -ldflags=-linkmode=external
}
needs_cgo_musl_static() { linked_needs musl-gcc; }
cells_cgo_musl_static() { cells_cgo_musl; }
build_cgo_musl_static() {
	cf_go_env+=(CC=musl-gcc)
	linked_go "$@" -tags=linked_lib '-ldflags=-linkmode=external -extldflags=-static'
}

# --- in a C program -----------------------------------------------------------------

# linked_host OUT [cc argument...]
linked_host() {
	local out=$1
	shift
	gcc -O1 -g -o "$out" "$programs_dir/linked/c/host.c" "$@" -pthread -ldl
}
linked_library() {
	linked_go "$1" "$2" "$3" "$4" -tags=linked_lib "${@:5}" && rm -f "${4%.*}.h"
}

needs_c_shared() { linked_needs gcc; }
cells_c_shared() { cells_linked_crash; }
build_c_shared() {
	linked_library "$1" "$2" "$3" "$4.so" -buildmode=c-shared && linked_host "$4" "$4.so"
}
needs_c_shared_stripped() { linked_needs gcc; }
cells_c_shared_stripped() { cells_linked_crash; }
build_c_shared_stripped() {
	build_c_shared "$@" && strip "$4" && strip "$4.so"
}
# No section that tells the release, either.
needs_c_shared_bare() { linked_needs gcc; }
cells_c_shared_bare() { cells_linked_crash; }
build_c_shared_bare() {
	build_c_shared "$@" && objcopy --strip-all --rename-section .go.buildinfo=.moved "$4.so"
}
needs_c_shared_host_stripped() { linked_needs gcc; }
cells_c_shared_host_stripped() { cells_linked_crash; }
build_c_shared_host_stripped() { build_c_shared "$@" && strip "$4"; }

# Loaded as it runs.
needs_dlopen() { linked_needs gcc; }
cells_dlopen() { cells_linked_crash; }
build_dlopen() {
	linked_library "$1" "$2" "$3" "$4.so" -buildmode=c-shared && linked_host "$4" -DHOST_DLOPEN
}
needs_dlopen_stripped() { linked_needs gcc; }
cells_dlopen_stripped() { cells_linked_crash; }
build_dlopen_stripped() { build_dlopen "$@" && strip "$4" && strip "$4.so"; }
# Two libraries, each with a runtime. The second is the one that crashes.
needs_dlopen_two() { linked_needs gcc; }
cells_dlopen_two() { cells_linked_crash; }
build_dlopen_two() {
	build_dlopen "$@" &&
		linked_library "$1" "$2" "$3" "$4.2.so" -buildmode=c-shared -ldflags=-X=main.runtimes=2
}

needs_c_archive() { linked_needs gcc; }
cells_c_archive() { cells_linked_crash; }
build_c_archive() { linked_archive -no-pie "$@"; }
linked_archive() {
	local how=$1 rc=0
	shift
	linked_library "$1" "$2" "$3" "$4.a" -buildmode=c-archive && linked_host "$4" "$how" "$4.a" || rc=1
	rm -f "$4.a"
	return $rc
}
needs_c_archive_stripped() { linked_needs gcc; }
cells_c_archive_stripped() { cells_linked_crash; }
build_c_archive_stripped() { build_c_archive "$@" && strip "$4"; }
needs_c_archive_static() { linked_needs gcc; }
cells_c_archive_static() { cells_linked_crash; }
build_c_archive_static() { linked_archive -static "$@"; }
needs_c_archive_pie() { linked_needs gcc; }
cells_c_archive_pie() { cells_linked_crash; }
build_c_archive_pie() { linked_archive -pie "$@"; }

# --- plugins and shared libraries of Go ---------------------------------------------

needs_plugin() { linked_needs gcc; }
cells_plugin() { cells_linked; }
build_plugin() {
	linked_go "$1" "$2" "$3" "$4.so" -tags=linked_plugin -buildmode=plugin &&
		linked_go "$@" -tags=linked_host
}
needs_plugin_stripped() { linked_needs gcc; }
cells_plugin_stripped() { cells_linked; }
build_plugin_stripped() { build_plugin "$@" && strip "$4" && strip "$4.so"; }

# The library goes where the toolchain is, so this is a copy of that. It leaves modules
# aside, since those have no place for shared libraries.
needs_linkshared() {
	if [[ $(printf '%s\n' 1.26 "$2" | sort -V | head -n 1) != 1.26 ]]; then
		echo "the runtime prints no name for a module's first function there"
	else
		linked_needs gcc
	fi
}
cells_linkshared() { cells_linked; }
build_linkshared() {
	local work rc=0 packages="runtime sync os time syscall"
	work=$(mktemp -d -p "${4%/*}") || return 1
	cp -a "$1/." "$work/root" && chmod -R u+w "$work/root" && (
		cd "$programs_dir/linked" || exit 1
		export GOTOOLCHAIN=local GOFLAGS= GO111MODULE=off CGO_ENABLED=1
		unset GOROOT
		"$work/root/bin/go" install -buildmode=shared $packages &&
			"$work/root/bin/go" build -linkshared -ldflags='-r=$ORIGIN' -o "$4" . &&
			mv "$work"/root/pkg/*_dynlink/lib*.so "${4%/*}"
	) || rc=1
	rm -rf "$work"
	return $rc
}

# --- race detector, sanitizers --------------------------------------------------------

needs_race() { linked_needs gcc; }
cells_race() { printf '%s quit\n' zoo zoo_cgo abba healthy && cells_linked; }
build_race() { linked_go "$@" -race; }
needs_race_stripped() { linked_needs gcc; }
cells_race_stripped() { cells_race; }
build_race_stripped() { linked_go "$@" -race '-ldflags=-s -w'; }
needs_test_race() { linked_needs gcc; }
cells_test_race() { printf '%s quit\n' zoo abba healthy; }
build_test_race() {
	cf_go_env+=(CGO_ENABLED=1)
	build_test "$@" -race
}
# There, msancall and asancall put their frames over those of the scheduler that a signal
# interrupted: the core no longer has what the runtime printed of such threads.
sanitizer_needs() {
	if [[ $(printf '%s\n' 1.26 "$1" | sort -V | head -n 1) != 1.26 ]]; then
		echo "its own calls overwrite interrupted stacks of threads before the core is made"
	else
		linked_needs "$2"
	fi
}
needs_msan() { sanitizer_needs "$2" clang; }
cells_msan() { cells_linked; }
build_msan() {
	cf_go_env+=(CC=clang)
	linked_go "$@" -tags=linked_lib -msan
}
needs_asan() { sanitizer_needs "$2" gcc; }
cells_asan() { cells_linked; }
build_asan() { linked_go "$@" -tags=linked_lib -asan; }
