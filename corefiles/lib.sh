# Shell functions that build the hanging programs and make cores of them.
# Sourced by corefiles/make-corefiles and the scripts in tests/oracle/.

corefiles_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top_dir=$(dirname "$corefiles_dir")
programs_dir=$corefiles_dir/programs

# Seconds that a program may take to settle, and a crashing one to die.
: "${GCORE_READY_TIMEOUT:=60}" "${GCORE_DEATH_TIMEOUT:=120}"

note() { printf '%s\n' "$*" >&2; }
die() { note "${0##*/}: $*"; exit 2; }

# cf_go_roots: prints "VERSION GOROOT" of every toolchain present, oldest
# first, one for each release.
cf_go_roots() {
	local root modcache go version
	local -a roots=()

	if go=$(command -v go); then
		roots+=("$(GOTOOLCHAIN=local "$go" env GOROOT 2>/dev/null)")
		modcache=$("$go" env GOMODCACHE 2>/dev/null)
	fi
	IFS=: read -ra extra <<<"${GCORE_GOROOTS-}"
	roots+=("${extra[@]}" /usr/local/go* /usr/lib/go-* "${HOME-}"/sdk/go*)
	roots+=("${modcache:-${HOME-}/go/pkg/mod}"/golang.org/toolchain@*)

	for root in "${roots[@]}"; do
		[[ -n $root && -x $root/bin/go && -r $root/VERSION ]] || continue
		version=$(head -n 1 "$root/VERSION")
		version=${version%% *}
		[[ $version == go* ]] || continue
		printf '%s %s\n' "${version#go}" "$root"
	done | sort -s -V -k 1,1 -u
}

# cf_programs: prints the name of each program.
cf_programs() {
	local dir
	for dir in "$programs_dir"/*/; do
		[[ -f $dir/go.mod ]] && basename "$dir"
	done
}

# cf_go_root VERSION: prints its GOROOT; fails if that release is not here.
cf_go_root() {
	cf_go_roots | awk -v want="$1" '$1 == want { print $2; found = 1 } END { exit !found }'
}

# cf_needs_cgo NAME: is it linked with C?
cf_needs_cgo() {
	grep -qs '^import "C"' "$programs_dir/$1"/*.go || [[ " $(cf_flags "$1") " == *" -race "* ]]
}

# cf_flags NAME: prints the go build flags that a program always needs.
cf_flags() { cat "$programs_dir/$1/flags" 2>/dev/null; }

# cf_runs_on NAME VERSION: is the release one that the program is for?
cf_runs_on() {
	local oldest
	oldest=$(cat "$programs_dir/$1/oldest" 2>/dev/null) || return 0
	[[ $(printf '%s\n' "$oldest" "$2" | sort -V | head -n 1) == "$oldest" ]]
}

# The architecture that programs are built and run for: this machine's, or by qemu-user.
cf_arch() {
	case $(uname -m) in
	x86_64) echo amd64 ;;
	aarch64) echo arm64 ;;
	*) uname -m ;;
	esac
}
cf_goarch=$(cf_arch)
cf_is_foreign() { [[ $cf_goarch != "$(cf_arch)" ]]; }

# Of an architecture: qemu's name for it, the triplet of its cross compiler.
cf_qemu() { case $cf_goarch in arm64) echo qemu-aarch64 ;; riscv64) echo qemu-riscv64 ;; *) echo "qemu-$cf_goarch" ;; esac; }
cf_triplet() { case $cf_goarch in arm64) echo aarch64-linux-gnu ;; *) echo "$cf_goarch-linux-gnu" ;; esac; }

# cf_cannot NAME: prints what is missing to build and run a program; fails if nothing is.
cf_cannot() {
	local gxx=g++
	cf_is_foreign && gxx=$(cf_triplet)-g++
	if compgen -G "$programs_dir/$1/*.cc" >/dev/null && ! command -v "$gxx" >/dev/null; then
		echo "there is no $gxx"
		return
	fi
	cf_is_foreign || return 1
	if ! command -v "$(cf_qemu)" >/dev/null; then
		echo "there is no $(cf_qemu) (package qemu-user)"
	elif [[ " $(cf_flags "$1") " == *" -race "* ]]; then
		echo "the race detector does not run under qemu-user"
	elif [[ $1 == nopreempt ]]; then
		echo "it starts itself anew, which qemu-user does not let it do"
	elif cf_needs_cgo "$1" && ! command -v "$(cf_triplet)-gcc" >/dev/null; then
		echo "there is no $(cf_triplet)-gcc (packages gcc-$(cf_triplet), libc6-dev-$cf_goarch-cross)"
	else
		return 1
	fi
}

# cf_build GOROOT VERSION NAME OUT [go build flag...]: builds a program as the
# people who use that release would: the go line in go.mod is that release's,
# since it decides the runtime's default settings. No path of this machine
# gets into the program. The array cf_go_env adds to the go command's environment,
# cf_go_verb is what it is told to do.
cf_go_env=() cf_go_verb=build
cf_build() {
	local root=$1 version=$2 name=$3 out=$4
	shift 4
	local work cgo=0 rc=0
	local -a cross=()
	work=$(mktemp -d) || return 1
	cf_needs_cgo "$name" && cgo=1
	cf_is_foreign && cross=(GOARCH="$cf_goarch" CC="$(cf_triplet)-gcc" CXX="$(cf_triplet)-g++")

	printf 'module %s\n\ngo %s\n' "$name" \
		"$(cut -d. -f1,2 <<<"$version")" >"$work/go.mod"
	# GOMODCACHE: old releases take a GOROOT inside the module cache for a
	# module and find no standard library there.
	(
		cd "$programs_dir/$name" &&
			env -u GOROOT GOTOOLCHAIN=local GOPROXY=off GOFLAGS= GOWORK=off GO111MODULE=on \
				GOMODCACHE="$work/mod" CGO_ENABLED=$cgo "${cross[@]}" "${cf_go_env[@]}" \
				"$root/bin/go" $cf_go_verb -trimpath -buildvcs=false \
				-modfile="$work/go.mod" $(cf_flags "$name") "$@" -o "$out" .
	) || rc=1
	rm -rf "$work"
	return $rc
}

# cf_kernel_cores: does this kernel leave cores where they can be picked up?
# Otherwise prints why not.
cf_kernel_cores() {
	local pattern
	pattern=$(cat /proc/sys/kernel/core_pattern 2>/dev/null)
	if [[ $pattern == '|'* ]]; then
		echo "the kernel pipes cores elsewhere (core_pattern is '$pattern')"
		return 1
	elif [[ -z $pattern ]]; then
		echo "this kernel writes no cores (core_pattern is empty)"
		return 1
	elif ! (ulimit -c unlimited) 2>/dev/null; then
		echo "the hard limit on core size is $(ulimit -H -c) (ulimit -c)"
		return 1
	fi
}

# cf_core_method: sets cf_method to kernel or gdb, and says so once if it is gdb.
cf_core_method() {
	local why
	if cf_is_foreign; then
		cf_method=qemu
		return
	fi
	[[ -n ${cf_method-} ]] && return
	if why=$(cf_kernel_cores); then
		cf_method=kernel
	elif command -v gdb >/dev/null; then
		note "note: $why: making cores with gdb's generate-core-file"
		cf_method=gdb
	else
		die "$why, and there is no gdb to make cores with"
	fi
}

# cf_find_core PID DIR: prints the path of the core that the kernel wrote for a
# process that died in DIR. core_pattern may name another folder.
cf_find_core() {
	local pid=$1 dir=$2 pattern glob file
	if [[ $cf_method == qemu ]]; then
		# It is named after the program, the time and the process.
		rm -f "$dir/core" "$dir/core.$pid"
		for file in "$dir"/qemu_*_"$pid".core; do
			[[ -f $file ]] && printf '%s\n' "$file" && return 0
		done
		return 1
	fi
	pattern=$(cat /proc/sys/kernel/core_pattern)
	glob=$(sed -e "s/%[pPiI]/$pid/g" -e 's/%%/%/g' -e 's/%[a-zA-Z]/*/g' <<<"$pattern")
	[[ $glob == /* ]] || glob=$dir/$glob
	# With core_uses_pid the kernel appends the process ID.
	for file in $glob $glob.$pid; do
		if [[ -f $file && -O $file ]]; then
			printf '%s\n' "$file"
			return 0
		fi
	done
	return 1
}

# cf_await_ready PID STDOUT: waits until the program says that it has settled.
cf_await_ready() {
	local pid=$1 out=$2 end=$((SECONDS + GCORE_READY_TIMEOUT))
	until grep -qsx ready "$out"; do
		if ! kill -0 "$pid" 2>/dev/null; then
			return 1
		elif ((SECONDS > end)); then
			note "pid $pid did not get ready in $GCORE_READY_TIMEOUT s"
			return 1
		fi
		sleep 0.05
	done
}

# cf_await_death PID: waits for a dying process, kills it when it takes too long.
cf_await_death() {
	local pid=$1 end=$((SECONDS + GCORE_DEATH_TIMEOUT))
	while kill -0 "$pid" 2>/dev/null; do
		if ((SECONDS > end)); then
			note "pid $pid did not die in $GCORE_DEATH_TIMEOUT s"
			# Its child first: under gdb that is the program.
			kill -KILL $(pgrep -P "$pid") "$pid"
			break
		fi
		sleep 0.05
	done
	wait "$pid" 2>/dev/null
}

# cf_dump EXE DIR STEM HOW [ARG...]: runs EXE in DIR, makes it dump, and leaves
# STEM.core and STEM.txt (what the runtime printed) there. HOW is
#	quit	SIGQUIT once it is ready
#	crash	it crashes by itself
#	gcore	gdb's generate-core-file once it is ready; no text
# The program's environment is empty but for GOTRACEBACK and what the array
# cf_env adds: the environment is part of a core. cf_age is for how many seconds
# the program hangs before it is dumped (the runtime prints waits in minutes).
cf_env=() cf_age=0
cf_dump() {
	local exe=$1 dir=$2 stem=$3 how=$4
	shift 4
	local pid child core rc=0 out err
	out=$dir/$stem.out err=$dir/$stem.txt core=$dir/$stem.core
	rm -f "$out" "$err" "$core"
	local -a clean=(env -i PATH=/usr/bin:/bin GOTRACEBACK=crash "${cf_env[@]}")

	cf_core_method
	if [[ $cf_method == gdb && $how != gcore ]]; then
		# gdb sees the SIGABRT with which the runtime ends before the
		# process does, and takes the core at that very point.
		(
			cd "$dir" && exec "${clean[@]}" gdb -nx -q -batch \
				-ex 'set confirm off' \
				-ex 'handle all nostop noprint pass' \
				-ex 'handle SIGABRT stop print nopass' \
				-ex "run $(printf '%q ' "$@") >'$out' 2>'$err'" -ex "generate-core-file $core" -ex kill \
				"$exe" </dev/null >"$dir/$stem.gdb" 2>&1
		) &
		pid=$!
		if [[ $how == quit ]]; then
			cf_await_ready $pid "$out" || rc=1
			sleep $cf_age
			child=$(pgrep -P $pid | head -n 1)
			[[ -n $child ]] && kill -QUIT "$child"
		fi
		cf_await_death $pid
		[[ -s $core ]] || { cat "$dir/$stem.gdb" >&2; rc=1; }
		# gdb writes out address space that was only reserved.
		fallocate -d "$core" 2>/dev/null
		rm -f "$out" "$dir/$stem.gdb"
		return $rc
	fi

	# The process is qemu's then, and takes the program's signals.
	[[ $cf_method == qemu ]] && clean+=("$(cf_qemu)" -L "/usr/$(cf_triplet)")
	(
		cd "$dir" && { ulimit -c unlimited; echo 0x33 >/proc/self/coredump_filter; } 2>/dev/null
		exec "${clean[@]}" "$exe" "$@" </dev/null >"$out" 2>"$err"
	) &
	pid=$!
	case $how in
	quit)
		cf_await_ready $pid "$out" && sleep $cf_age && kill -QUIT $pid || rc=1
		;;
	gcore)
		cf_await_ready $pid "$out" || rc=1
		gdb -nx -q -batch -p $pid -ex "generate-core-file $core" >/dev/null 2>&1 || rc=1
		fallocate -d "$core" 2>/dev/null
		kill -KILL $pid
		rm -f "$err"
		;;
	crash) ;;
	*) die "cf_dump: no way to dump called $how" ;;
	esac
	cf_await_death $pid 2>/dev/null
	rm -f "$out"
	if [[ $how != gcore ]]; then
		local found
		if found=$(cf_find_core $pid "$dir"); then
			mv "$found" "$core"
			# qemu writes pages of zeroes out.
			[[ $cf_method == qemu ]] && fallocate -d "$core" 2>/dev/null
		else
			note "no core of pid $pid ($exe $*)"
			[[ -s $err ]] && head -n 5 "$err" >&2
			rc=1
		fi
	fi
	[[ -s $core ]] || rc=1
	return $rc
}

# cf_dump_vm KERNEL EXE STEM HOW [ARG...]: the same for a foreign architecture, by a Linux
# kernel in a virtual machine of qemu-system: KERNEL is its image, such as the vmlinuz of
# Debian's package linux-image-arm64.
cf_dump_vm() {
	local kernel=$1 exe=$2 stem=$3 how=$4 work arch rc=0
	shift 4
	work=$(mktemp -d) || return 1
	arch=$(cf_qemu) arch=${arch#qemu-}
	(
		cd "$corefiles_dir/vm" && export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS= GOWORK=off &&
			go build -o "$work/vm" . && GOARCH=$cf_goarch go build -o "$work/init" . &&
			"$work/vm" pack "$work/init" "$exe" "$how" "$@" >"$work/initrd" &&
			timeout 600 "qemu-system-$arch" -M virt -cpu max -smp 2 -m 1500 -nic none -nographic \
				-no-reboot -kernel "$kernel" -initrd "$work/initrd" \
				-append "console=ttyAMA0 quiet panic=-1" </dev/null >"$work/console" &&
			"$work/vm" unpack "$stem" <"$work/console"
	) || rc=1
	if ((rc)) || [[ ! -s $stem.core || ! -s $stem.txt ]]; then
		tail -n 5 "$work/console" >&2
		rc=1
	else
		fallocate -d "$stem.core" 2>/dev/null
		# What the kernel says of itself, for those who ask how the core was made.
		cf_vm_linux=$(strings -n 20 "$kernel" | sed -nE 's/^Linux version ([^ ]+).*/\1/p' | head -n 1)
	fi
	rm -rf "$work"
	return $rc
}

# cf_how PROGRAM: how a program is made to dump when nobody says otherwise. The
# ones named here are there for their own way to die.
cf_how() {
	case $1 in
	panic | nilderef | nilderef_c | throw | overflow | asleep | cgothrow) echo crash ;;
	*) echo quit ;;
	esac
}
