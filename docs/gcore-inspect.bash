# bash completion for gcore-inspect

_gcore_inspect() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	case $prev in
	--color)
		mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$cur")
		return
		;;
	--sysroot | --debug-dir | --cache-dir)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	-ex | --eval-command)
		# The commands, as the program itself lists them.
		mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" --manual 2>/dev/null |
			sed -n 's/^### //p')" -- "$cur")
		return
		;;
	-p | --pid)
		mapfile -t COMPREPLY < <(compgen -W "$(ps -e -o pid= 2>/dev/null)" -- "$cur")
		return
		;;
	esac
	case $cur in
	-*)
		mapfile -t COMPREPLY < <(compgen -W "--exe --sysroot --debug-dir --debuginfod --cache-dir -ex --eval-command -x --command
			--batch --check --json --color -p --pid --no-stop -q --quiet -V --version -h --help" -- "$cur")
		;;
	*)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	esac
}
complete -F _gcore_inspect gcore-inspect
