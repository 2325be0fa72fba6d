# The ways to build a program, for the oracle's scripts (sourced by lib.sh).
#
# A way is a name in $oracle_builds and a function build_NAME (each '-' of the name is '_' in
# the function's) that is called with GOROOT RELEASE PROGRAM OUT. What else it may have:
#	needs_NAME GOROOT RELEASE	prints why it cannot be built on this machine; "-" means
#					that the release has no such way
#	cells_NAME RELEASE		prints "PROGRAM KIND" lines: what the matrix makes of it
#					(kinds.sh has the kinds, matrix what it makes otherwise)
#	also_NAME EXE CORE		prints what else is wrong with a core of it
# A function may leave further files beside OUT. OUT.given, if it makes that, is what
# gcore-inspect is given as the executable.

oracle_builds="default stripped w strip strip-g strip-keep bare no-sections paths
	pie pie-stripped cgo cgo-stripped cgo-static cgo-pie
	noinline noinline-stripped noopt noopt-stripped
	dwarf-plain dwarf4 dwz debugfile pgo pgo-stripped cover test test-stripped v3 fips
	upx patchelf
	exp-staticlockranking exp-greenteagc exp-nogreenteagc exp-nospinbitmutex exp-noswissmap
	exp-synctest exp-noallocheaders exp-unified exp-goroutineleakprofile
	exp-runtimefreegc exp-nosizespecializedmalloc exp-mapsplitgroup"
oracle_builds=$(echo $oracle_builds)
# Those that the matrix makes for another processor than the machine's.
oracle_builds_foreign="default stripped w strip bare no-sections pie pie-stripped cgo cgo-stripped
	noinline noopt noopt-stripped dwarf4 test-stripped"

# oracle_build BUILD GOROOT RELEASE PROGRAM OUT
oracle_build() {
	local build=$1 cf_go_env=("${cf_go_env[@]}") cf_go_verb=build
	shift
	case $build in
	exp-*)
		cf_go_env+=("GOEXPERIMENT=${build#exp-}")
		cf_build "$@"
		;;
	*) "build_${build//-/_}" "$@" ;;
	esac
}

# oracle_build_needs BUILD GOROOT RELEASE: prints why it cannot be made here (see above).
oracle_build_needs() {
	local build=$1
	shift
	case $build in
	exp-*) needs_experiment "${build#exp-}" "$@" ;;
	*) ! declare -F "needs_${build//-/_}" >/dev/null || "needs_${build//-/_}" "$@" ;;
	esac
}

# oracle_build_text BUILD: the text of its function, which its programs depend on.
oracle_build_text() { declare -f oracle_build cf_build "build_${1//-/_}"; }

# since RELEASE FIRST: a way that the releases before FIRST do not have.
since() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]] || echo -; }
tool() {
	local t
	for t; do command -v "$t" >/dev/null || { echo "there is no $t here"; return; }; done
}

# binutil NAME: the one for the processor.
binutil() { if cf_is_foreign; then echo "$(cf_triplet)-$1"; else echo "$1"; fi; }

build_default() { cf_build "$@"; }
build_stripped() { cf_build "$@" '-ldflags=-s -w'; }
build_w() { cf_build "$@" -ldflags=-w; }
build_strip() { cf_build "$@" && $(binutil strip) "$4"; }
build_strip_g() { cf_build "$@" && $(binutil strip) -g "$4"; }
# As distributions' packages are.
build_strip_keep() { cf_build "$@" && $(binutil strip) --strip-unneeded --remove-section=.comment "$4"; }
# No section that tells the release, either.
build_bare() { cf_build "$@" && $(binutil objcopy) --strip-all --rename-section .go.buildinfo=.moved "$4"; }
# No section headers at all.
build_no_sections() {
	cf_build "$@" && $(binutil strip) "$4" &&
		dd if=/dev/zero of="$4" bs=1 seek=40 count=8 conv=notrunc status=none &&
		dd if=/dev/zero of="$4" bs=1 seek=58 count=6 conv=notrunc status=none
}
# With the paths of the machine it was built on.
build_paths() { cf_build "$@" -trimpath=false; }
build_pie() { cf_build "$@" -buildmode=pie; }
build_pie_stripped() { cf_build "$@" -buildmode=pie '-ldflags=-s -w'; }

# Linked with C, by the C compiler.
cells_cgo() { printf '%s quit\n' zoo_cgo zoo abba healthy && echo nilderef_c crash; }
build_cgo() {
	cf_go_env+=(CGO_ENABLED=1)
	cf_build "$@" -ldflags=-linkmode=external
}
cells_cgo_stripped() { cells_cgo; }
build_cgo_stripped() {
	cf_go_env+=(CGO_ENABLED=1)
	cf_build "$@" '-ldflags=-linkmode=external -s -w'
}
cells_cgo_static() { echo zoo_cgo quit && echo nilderef_c crash; }
build_cgo_static() {
	cf_go_env+=(CGO_ENABLED=1)
	cf_build "$@" '-ldflags=-linkmode=external -extldflags=-static'
}
cells_cgo_pie() { printf '%s quit\n' zoo_cgo abba healthy && echo nilderef_c crash; }
build_cgo_pie() {
	cf_go_env+=(CGO_ENABLED=1)
	cf_build "$@" -buildmode=pie
}

build_noinline() { cf_build "$@" -gcflags=all=-l; }
build_noinline_stripped() { cf_build "$@" -gcflags=all=-l '-ldflags=-s -w'; }
build_noopt() { cf_build "$@" '-gcflags=all=-N -l'; }
build_noopt_stripped() { cf_build "$@" '-gcflags=all=-N -l' '-ldflags=-s -w'; }

build_dwarf_plain() { cf_build "$@" -ldflags=-compressdwarf=false; }
# From 1.25 on it is 5 by default.
needs_dwarf4() { since "$2" 1.25; }
build_dwarf4() {
	cf_go_env+=(GOEXPERIMENT=nodwarf5)
	cf_build "$@"
}
needs_dwz() { tool dwz; }
# dwz 0.15 knows neither compressed sections nor what DWARF 5 has in Go's.
build_dwz() {
	[[ $(printf '%s\n' 1.25 "$2" | sort -V | head -n 1) == 1.25 ]] && cf_go_env+=(GOEXPERIMENT=nodwarf5)
	cf_build "$@" -ldflags=-compressdwarf=false && dwz -L none "$4"
}
# DWARF and symbols in a file of their own, beside the program.
build_debugfile() {
	cf_build "$@" && $(binutil objcopy) --only-keep-debug "$4" "$4.debug" && $(binutil strip) "$4" &&
		$(binutil objcopy) --add-gnu-debuglink="$4.debug" "$4"
}

# oracle_overlay PROGRAM FILE NAME: a -overlay file that adds FILE to the program.
oracle_overlay() {
	printf '{"Replace": {"%s": "%s"}}\n' "$programs_dir/$1/$3" "$2"
}

# With a profile of a program that computes, for itself and for one that does other things.
needs_pgo() { cf_is_foreign && echo "profiles come from the processor itself"; since "$2" 1.20; }
cells_pgo() { printf '%s quit\n' busy zoo; }
build_pgo() {
	local root=$1 release=$2 program=$3 out=$4 pgo
	shift 4
	# Packages are compiled once for each profile.
	pgo=$(GOTOOLCHAIN=local "$root/bin/go" env GOCACHE)/gcore-busy-$release.pgo
	[[ -s $pgo ]] || oracle_profile "$root" "$release" busy "$pgo" || return 1
	cf_build "$root" "$release" "$program" "$out" -pgo="$pgo" "$@"
}
needs_pgo_stripped() { needs_pgo "$@"; }
cells_pgo_stripped() { cells_pgo; }
build_pgo_stripped() { build_pgo "$@" '-ldflags=-s -w'; }
# oracle_profile GOROOT RELEASE PROGRAM OUT: what it computes in a second. OUT is there at
# once or not at all: several builds may want it at a time.
oracle_profile() {
	local dir rc=0 pid
	dir=$(mktemp -d) || return 1
	cat >"$dir/profile.go" <<-'END'
		package main

		import (
			"os"
			"runtime/pprof"
			"time"
		)

		func init() {
			f, err := os.Create(os.Getenv("GCORE_PROFILE"))
			if err != nil {
				panic(err)
			}
			if err := pprof.StartCPUProfile(f); err != nil {
				panic(err)
			}
			go func() {
				time.Sleep(time.Second)
				pprof.StopCPUProfile()
				f.Close()
				os.Exit(0)
			}()
		}
	END
	oracle_overlay "$3" "$dir/profile.go" zz_profile.go >"$dir/overlay"
	if cf_build "$1" "$2" "$3" "$dir/exe" -overlay="$dir/overlay"; then
		env -i GCORE_PROFILE="$4.$BASHPID" timeout 60 "$dir/exe" >/dev/null 2>&1 </dev/null &&
			[[ -s $4.$BASHPID ]] && mv "$4.$BASHPID" "$4" || rc=1
	else
		rc=1
	fi
	rm -rf "$dir"
	return $rc
}

needs_cover() { since "$2" 1.20; }
build_cover() { cf_build "$@" -cover; }

# A test binary whose one test is the program.
build_test() {
	local dir rc=0
	dir=$(mktemp -d) || return 1
	printf 'package main\n\nimport "testing"\n\nfunc TestProgram(t *testing.T) { main() }\n' >"$dir/test.go"
	oracle_overlay "$3" "$dir/test.go" zz_test.go >"$dir/overlay"
	cf_go_verb="test -c -vet=off"
	cf_build "$@" -overlay="$dir/overlay" || rc=1
	rm -rf "$dir"
	return $rc
}
build_test_stripped() { build_test "$@" '-ldflags=-s -w'; }

needs_v3() { [[ $cf_goarch == amd64 ]] || { echo -; return; }; grep -qw avx2 /proc/cpuinfo || echo "this processor has no AVX2"; }
build_v3() {
	cf_go_env+=(GOAMD64=v3)
	cf_build "$@"
}
needs_fips() { since "$2" 1.24; }
build_fips() {
	cf_go_env+=(GOFIPS140=latest)
	cf_build "$@"
}

# Packed: unpacks itself into memory as it starts.
needs_upx() { tool upx; }
build_upx() {
	cf_build "$@" '-ldflags=-s -w' && cp "$4" "$4.given" && upx -q -1 "$4" >/dev/null
}
also_upx() {
	[[ $("$inspect" --batch --exe "$1" "$2" 2>&1) == *"is packed with UPX"* ]] ||
		echo "gcore-inspect does not say of the packed program that it is packed"
}
needs_patchelf() { tool patchelf; }
cells_patchelf() { printf '%s quit\n' zoo_cgo abba healthy && echo nilderef_c crash; }
build_patchelf() { build_cgo "$@" && patchelf --set-rpath /a/quite/long/path/that/needs/room/of/its/own "$4"; }

# needs_experiment NAME GOROOT RELEASE: those that the release does not know and those that
# are as they are in it without asking are no ways of it.
needs_experiment() {
	local name=${1#no} on=
	grep -qiE "^[[:space:]]+$name bool" "$2/src/internal/goexperiment/flags.go" || { echo -; return; }
	sed -n '/baseline := /,/^	}/p' "$2/src/internal/buildcfg/exp.go" |
		grep -qiE "^[[:space:]]+$name:" && on=1
	[[ $1 == no* ]] || { [[ ! $on ]] || echo -; return; }
	[[ $on ]] || echo -
}
