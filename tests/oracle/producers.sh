# Cores of other producers than the kernel in its usual setting (sourced by lib.sh; what a
# kind is, kinds.sh says). They are made of plainly built programs: the "way to build" that
# is called producers.
#
# What takes a core of a living process does so while freeze holds the program at the
# SIGABRT by which the runtime ends its traceback: the text and the core are of one moment.

producer_kinds="gcore gcore-a gcore-everything dlv criu systemd"
# coredump_filter: what is dumped of what is anonymous and private (1), shared (2), of files
# private (4) and shared (8), first pages of ELF files (10), huge pages (20, 40), DAX (80, 100).
producer_kinds+=" filter-0x01 filter-0x03 filter-0x11 filter-0x31 filter-0x3f filter-0x1ff"
# Without the first of these there is nothing to work with.
producer_kinds+=" filter-0x00 filter-0x02 filter-0x10 filter-0x32"
# In a PID namespace of its own: the kernel's core has its numbers, gcore's those outside.
producer_kinds+=" pidns pidns-gcore"

oracle_builds+=" producers"
build_producers() { cf_build "$@"; }

# cells_producers RELEASE: "PROGRAM KIND" lines.
cells_producers() {
	local kind program
	for kind in $producer_kinds; do
		for program in zoo zoo_cgo abba healthy; do
			# All four where a producer is tried first, one of them elsewhere.
			case $1-$kind-$program in
			*-criu-zoo* | *-criu-healthy) ;; # its converter takes minutes
			1.19.13-* | 1.26.8-* | 1.27.4-* | *-gcore-zoo_cgo | *-dlv-zoo | *-filter-0x01-zoo_cgo)
				echo "$program $kind"
				;;
			esac
		done
	done
}

freeze=$build_dir/tests/oracle/freeze
oracle_build_freeze() {
	[[ $freeze -nt $oracle_dir/freeze.c ]] && return
	mkdir -p "${freeze%/*}"
	${CC:-cc} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -o "$freeze.$$" "$oracle_dir/freeze.c" &&
		mv "$freeze.$$" "$freeze"
}

# frozen EXE DIR STEM [WRAPPER...]: starts the program, has it die, and stops that. Sets
# frozen_pid; its text is DIR/STEM.txt. thaw ends it.
frozen() {
	local exe=$1 out=$2/$3.out end=$((SECONDS + GCORE_READY_TIMEOUT)) txt=$2/$3.txt
	shift 3
	oracle_build_freeze || return 1
	rm -f "$out" "$txt"
	(
		cd "${out%/*}" &&
			exec setsid env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin GOTRACEBACK=crash "$@" "$freeze" "$exe" \
				</dev/null >"$out" 2>"$txt"
	) &
	freezer=$!
	until grep -qsx ready "$out"; do
		((SECONDS < end)) && kill -0 $freezer 2>/dev/null || { thaw; return 1; }
		sleep 0.05
	done
	frozen_pid=$(program_below $freezer "$exe") && kill -QUIT "$frozen_pid"
	until grep -qs '^frozen ' "$out"; do
		((SECONDS < end + GCORE_DEATH_TIMEOUT)) && kill -0 $freezer 2>/dev/null || { thaw; return 1; }
		sleep 0.05
	done
	rm -f "$out"
}

# program_below PID EXE: prints the process that runs EXE, of PID and its descendants.
program_below() {
	local pid
	[[ $(readlink "/proc/$1/exe") -ef $2 ]] && { echo "$1"; return; }
	for pid in $(pgrep -P "$1"); do
		program_below "$pid" "$2" && return
	done
	return 1
}

thaw() {
	[[ ${frozen_pid-} ]] && kill -KILL "$frozen_pid" 2>/dev/null
	kill -KILL "$freezer" 2>/dev/null
	wait "$freezer" 2>/dev/null
	frozen_pid=
}

# of_frozen EXE DIR STEM COMMAND...: a core by a command; @PID and @CORE stand for those.
of_frozen() {
	local rc core=$2/$3.core
	local -a command
	frozen "$1" "$2" "$3" "${frozen_in[@]}" || return 1
	command=("${@:4}")
	command=("${command[@]//@PID/$frozen_pid}")
	command=("${command[@]//@CORE/$core}")
	"${command[@]}" >"$2/$3.log" 2>&1 </dev/null
	rc=$?
	thaw
	[[ -s $core ]] || { tail -n 1 "$2/$3.log" >&2; return 1; }
	# gdb and dlv write out address space that was only reserved.
	fallocate -d "$core" 2>/dev/null
	rm -f "$2/$3.log"
	return $rc
}
frozen_in=()

here_alone() { cf_is_foreign && echo -; }
needs_gdb() { here_alone || command -v gdb >/dev/null || echo "there is no gdb"; }

# --- of living processes -------------------------------------------------------------

needs_kind_gcore() { needs_gdb; }
kind_gcore() { of_frozen "$@" gdb -nx -q -batch -p @PID -ex 'generate-core-file @CORE'; }
# The options of the gcore command.
needs_kind_gcore_a() { needs_gdb; }
kind_gcore_a() {
	of_frozen "$@" gcore -a -o "$2/$3" @PID
	mv "$2/$3".[0-9]* "$2/$3.core" 2>/dev/null && fallocate -d "$2/$3.core"
	[[ -s $2/$3.core ]]
}
needs_kind_gcore_everything() { needs_gdb; }
kind_gcore_everything() {
	of_frozen "$@" gdb -nx -q -batch -p @PID -ex 'set use-coredump-filter off' \
		-ex 'set dump-excluded-mappings on' -ex 'generate-core-file @CORE'
}

dlv=$(command -v dlv || echo ~/go/bin/dlv)
needs_kind_dlv() { here_alone || [[ -x $dlv ]] || echo "there is no dlv"; }
kind_dlv() {
	printf 'dump %s\nexit\n' "$2/$3.core" >"$2/$3.dlv"
	of_frozen "$@" timeout 100 "$dlv" attach --allow-non-terminal-interactive=true @PID --init "$2/$3.dlv"
	rm -f "$2/$3.dlv"
	[[ -s $2/$3.core ]]
}

# criu dumps images of a process; its converter makes a core of them.
needs_kind_criu() {
	local why
	here_alone && return
	command -v criu >/dev/null || { echo "there is no criu"; return; }
	command -v criu-coredump >/dev/null || { echo "there is no criu-coredump"; return; }
	why=$(criu check 2>&1) || echo "criu does not work here: $(head -n 1 <<<"$why")"
}
kind_criu() {
	# It does not know multipath TCP, with which newer Go releases listen.
	local images=$2/$3.images frozen_in=(env GODEBUG=multipathtcp=0)
	rm -rf "$images"
	mkdir "$images"
	of_frozen "$@" sh -c "criu dump -t @PID -D '$images' --shell-job --leave-running \
		--tcp-established --network-lock skip --ext-unix-sk --file-locks &&
		timeout 400 criu-coredump -i '$images' -o '$images' && mv '$images'/core.@PID @CORE"
	rm -rf "$images"
	[[ -s $2/$3.core ]]
}

# --- by the kernel, otherwise ----------------------------------------------------------

# kernel_core EXE DIR STEM FILTER [WRAPPER...]: with that coredump_filter.
kernel_core() {
	local exe=$1 dir=$2 stem=$3 filter=$4 pid program out=$2/$3.out end=$((SECONDS + GCORE_READY_TIMEOUT))
	shift 4
	local cf_method=kernel
	cf_kernel_cores >&2 || return 1
	rm -f "$dir/$stem".{core,txt,out}
	(
		cd "$dir" && ulimit -c unlimited && echo "$filter" >/proc/self/coredump_filter &&
			exec setsid env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin GOTRACEBACK=crash "$@" "$exe" \
				</dev/null >"$out" 2>"$dir/$stem.txt"
	) &
	pid=$!
	until grep -qsx ready "$out"; do
		((SECONDS < end)) && kill -0 $pid 2>/dev/null || { kill -KILL $pid; return 1; }
		sleep 0.05
	done
	program=$(program_below $pid "$exe") && kill -QUIT "$program"
	cf_await_death $pid 2>/dev/null
	rm -f "$out"
	mv "$(cf_find_core "$program" "$dir" || cf_find_core '*' "$dir")" "$dir/$stem.core"
}
needs_kernel() { here_alone || cf_kernel_cores || true; }

for filter in 0x00 0x01 0x02 0x03 0x10 0x11 0x31 0x32 0x3f 0x1ff; do
	eval "needs_kind_filter_$filter() { needs_kernel; }
		kind_filter_$filter() { kernel_core \"\$@\" $filter; }"
done
for filter in 0x00 0x02 0x10 0x32; do
	eval "kind_filter_$filter() {
		kernel_core \"\$@\" $filter
		pair_refused='no private memory .* coredump_filter .* echo 0x33'
	}"
done

# What systemd-coredump stores: a kernel core through its two halves, the kernel's helper
# and the service behind the socket, as systemd starts them.
systemd_coredump=
for file in /usr/lib/systemd/systemd-coredump /lib/systemd/systemd-coredump ${GCORE_SYSTEMD:+"$GCORE_SYSTEMD"/lib/systemd/systemd-coredump}; do
	[[ -x $file ]] && systemd_coredump=$file
done
needs_kind_systemd() {
	here_alone && return
	if [[ ! $systemd_coredump ]]; then
		echo "there is no systemd-coredump"
	elif ((EUID)); then
		echo "systemd-coredump is for root"
	elif [[ -S /run/systemd/journal/socket ]]; then
		echo "systemd runs here and takes its own cores"
	elif ! command -v python3 >/dev/null; then
		echo "there is no python3 to stand for systemd's socket"
	else
		cf_kernel_cores || true
	fi
}
kind_systemd() {
	local crashed stored=/var/lib/systemd/coredump server libs
	kernel_core "$@" 0x33 || return 1
	libs=${systemd_coredump%/lib/*}/usr/lib/x86_64-linux-gnu/systemd
	sleep 1000 & # whose /proc is read
	crashed=$!
	rm -f "$stored"/core.sleep.*."$crashed".* /run/systemd/coredump
	LD_LIBRARY_PATH=$libs python3 - "$systemd_coredump" 2>"$2/$3.log" <<'PY' &
import os, socket, sys
path = "/run/systemd/coredump"
os.makedirs("/run/systemd", exist_ok=True)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(path)
s.listen(1)
s.settimeout(60)
c = s.accept()[0]
os.unlink(path)
c.setblocking(True)
os.dup2(c.fileno(), 3, inheritable=True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], [sys.argv[1]])
PY
	server=$!
	for ((i = 0; i < 200; i++)); do [[ -S /run/systemd/coredump ]] && break; sleep 0.05; done
	LD_LIBRARY_PATH=$libs "$systemd_coredump" $crashed 0 0 6 "$(date +%s)" 18446744073709551615 host <"$2/$3.core"
	wait $server
	kill $crashed
	wait $crashed 2>/dev/null
	rm -f "$2/$3.core" "$2/$3.log"
	# Its name says how it is compressed; ours does not.
	mv "$stored"/core.sleep.*."$crashed".* "$2/$3.core"
}

# --- in a PID namespace ------------------------------------------------------------------

in_pidns=(unshare --pid --fork --mount-proc --kill-child sh -c '"$@"; true' -)
needs_pidns() {
	here_alone && return
	"${in_pidns[@]}" true 2>/dev/null || echo "no PID namespace can be made here"
}
needs_kind_pidns() { local why; why=$(needs_pidns)$(needs_kernel); echo "$why"; }
kind_pidns() { kernel_core "$@" 0x33 "${in_pidns[@]}"; }
needs_kind_pidns_gcore() { local why; why=$(needs_pidns)$(needs_gdb); echo "$why"; }
kind_pidns_gcore() {
	local frozen_in=("${in_pidns[@]}")
	kind_gcore "$@"
}
