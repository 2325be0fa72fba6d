# The kinds of core that the oracle makes (sourced by lib.sh).
#
# A kind is a name in $oracle_kinds and a function kind_NAME that is called with EXE DIR STEM
# and makes DIR/STEM.core and DIR/STEM.txt, the text of the runtime at the time of that core.
# It may set
#	pair_core	another path of the core (a compressed one)
#	pair_options	options for gcore-inspect
#	compare_options	options for compare, instead of --threads
#	pair_refused	the core cannot be used, and gcore-inspect must say so in one line
#			with these words (a regular expression)
# and needs_kind_NAME prints why it cannot be done on this machine ("-": there is no such
# thing for this processor). $cf_goarch is the processor.

oracle_kinds="quit crash ancestors"

# The kernel's, of a hanging program that was told to die.
kind_quit() { cf_dump "$1" "$2" "$3" quit; }
# The kernel's, of a program that crashes by itself.
kind_crash() { cf_dump "$1" "$2" "$3" crash crash; }
# The same as quit, with the goroutines' ancestors recorded.
kind_ancestors() {
	cf_env=(GODEBUG=tracebackancestors=5)
	cf_dump "$1" "$2" "$3" quit
	local rc=$?
	cf_env=()
	return $rc
}

# oracle_kind KIND EXE DIR STEM: sets pair_core, pair_text, pair_options, compare_options,
# pair_refused.
oracle_kind() {
	local fn=kind_${1//-/_}
	pair_core=$3/$4.core pair_text=$3/$4.txt pair_options=() compare_options=(--threads) pair_refused=
	"$fn" "$2" "$3" "$4" || return 1
	[[ -s $pair_core && -s $pair_text ]]
}

# oracle_kind_needs KIND: prints why it cannot be done here.
oracle_kind_needs() {
	local fn=needs_kind_${1//-/_}
	! declare -F "$fn" >/dev/null || "$fn"
}

# what_ended PROGRAM KIND: what the summary must say of the end; nothing: not known here.
what_ended() {
	case $2-$1 in
	linked-crash*-* | crash-panic | crash-nilderef) echo "after a panic" ;;
	quit-* | ancestors-* | linked-*) echo "after SIGQUIT" ;;
	crash-throw | crash-asleep | crash-overflow) echo "after a fatal error" ;;
	esac
}

# verdict_of PROGRAM KIND: the exit status that --check must have; nothing: not known here.
verdict_of() {
	case $1 in
	linked) [[ ${2-} == *well ]] && echo 0 || echo 1 ;;
	abba | abba_explicit | selflock | threeway | rwmutex | rwupgrade | chanpair) echo 1 ;;
	structlock | lockstyles | leaks | crowd | asleep) echo 1 ;;
	pthread_abba | pthread_mixed | pthread_self) echo 1 ;;
	pthread_cond | cgo_healthy | behind_c) echo 0 ;;
	healthy | reachable | handover | many | busy | parked | suspects) echo 0 ;;
	esac
}
