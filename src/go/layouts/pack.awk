# Packs the layout tables for the compiler: layout_table.c includes what this prints.
#
#	awk -f src/go/layouts/pack.awk src/go/layouts/*/all.def
#
# The tables of each architecture, in the order of its all.def. Each name stands once, in
# GI_T_NAMES, and the entries have where it is there: 16 bits instead of a pointer.

function place(name)
{
	if (!(name in at)) {
		at[name] = size
		order[++names] = name
		size += length(name) + 1
	}
	return at[name]
}

function table(file, arch,	line, q)
{
	while ((getline line <file) > 0) {
		if (line ~ /^T_RELEASE\(/)
			sub(/\(/, "(GI_ARCH_" arch ", ", line)
		else if (split(line, q, "\"") == 3)
			line = q[1] place(q[2]) q[3]
		else
			continue
		print line
	}
	close(file)
}

BEGIN {
	size = 0
	print "// Made from src/go/layouts by pack.awk."
	print "#ifdef GI_T_ENTRIES"
}

/^#include/ {
	split($0, quoted, "\"")
	n = split(FILENAME, dirs, "/")
	table(substr(FILENAME, 1, length(FILENAME) - length("all.def")) \
		substr(quoted[2], match(quoted[2], /[^\/]*$/)), toupper(dirs[n - 1]))
}

END {
	print "#else"
	for (i = 1; i <= names; i++)
		printf "\"%s\\0\"\n", order[i]
	print "#endif"
}
