# gcore-inspect: build, test, install. README.md is the introduction; docs/style.md lists the habits.
#
#   make            build/gcore-inspect and build/libgcore.a
#   make demo       dependencies, build, and a real hung program explained
#   make test       dependencies, build, and everything that CI runs
#   make V=1        with the commands

PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
PKG_CONFIG ?= pkg-config
VERSION := 0.1.0

PKGS := libelf 'libdw >= 0.188' libunwind-generic readline jansson libarchive capstone zlib
PKGS_TEST := cmocka
# The one list of what a Debian machine needs: to build, to unpack the shipped cores, to test.
DEBIAN_PACKAGES := gcc make pkg-config libc6-dev libelf-dev libdw-dev libunwind-dev libreadline-dev \
	libcmocka-dev libjansson-dev libarchive-dev libcapstone-dev zlib1g-dev zstd gdb binutils \
	dwz elfutils libdebuginfod1

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wpointer-arith -Werror
OPT ?= -O2 -g
CFLAGS ?= $(OPT)
ALL_CPPFLAGS = -D_GNU_SOURCE -DGI_VERSION='"$(VERSION)"' -Iinclude -Isrc $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 $(WARN) -fno-strict-aliasing -pthread $(CFLAGS) $(SANITIZE)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
LDLIBS = $(PKG_LIBS) -lunwind-x86_64 -ldl -pthread
V ?= 0
Q := $(if $(filter 0,$(V)),@)
say = $(if $(filter 0,$(V)),@echo "  $(1)	$(2)")

LIB_SRC := $(filter-out src/main.c $(wildcard src/repl/*.c),$(wildcard src/*/*.c))
REPL_SRC := $(wildcard src/repl/*.c)
CMD_SRC := $(wildcard commands/*.c)
SUPPORT_SRC := $(wildcard tests/support/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_SHARED := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(LIB_SRC))
REPL_OBJ := $(call obj,$(REPL_SRC) $(CMD_SRC)) $(BUILD)/obj/commands.gen.o
UNIT_BIN := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(FUZZ_SRC))

.PHONY: all
all: $(BUILD)/libgcore.a $(if $(wildcard src/main.c),$(BUILD)/gcore-inspect)

# --- compiling ----------------------------------------------------------------

# src/ and commands/ are compiled with the banned functions poisoned; tests are not.
BANNED = $(if $(filter src/% commands/%,$<),-include src/base/banned.h)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(BANNED) $(PKG_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libgcore.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# The command table: one gi_cmd_NAME for each commands/NAME.c. The list of names is a
# file of its own, rewritten when it changes, so that a removed command leaves the table.
CMD_NAMES := $(sort $(basename $(notdir $(CMD_SRC))))
$(shell mkdir -p $(BUILD); echo '$(CMD_NAMES)' | cmp -s - $(BUILD)/commands.list || echo '$(CMD_NAMES)' >$(BUILD)/commands.list)
$(BUILD)/commands.gen.c: $(BUILD)/commands.list
	@{ echo '#include "gcore/command.h"'; \
	   for c in $(CMD_NAMES); do echo "extern const struct gi_command gi_cmd_$$c;"; done; \
	   echo 'const struct gi_command *const gi_commands[] = {'; \
	   for c in $(CMD_NAMES); do echo "	&gi_cmd_$$c,"; done; \
	   echo '	NULL,'; echo '};'; } > $@

$(BUILD)/obj/commands.gen.o: $(BUILD)/commands.gen.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libgcore-repl.a: $(REPL_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/gcore-inspect: $(BUILD)/obj/src/main.o $(BUILD)/libgcore-repl.a $(BUILD)/libgcore.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(call obj,$(UNIT_SHARED) $(SUPPORT_SRC)) $(if $(wildcard src/main.c),$(BUILD)/libgcore-repl.a) $(BUILD)/libgcore.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(shell $(PKG_CONFIG) --libs $(PKGS_TEST))

.PRECIOUS: $(BUILD)/obj/%.o

# The layout tables in a small form.
LAYOUTS := $(sort $(wildcard src/go/layouts/*/all.def))
$(BUILD)/layouts.gen.def: src/go/layouts/pack.awk $(wildcard src/go/layouts/*/*.def)
	@mkdir -p $(@D)
	$(call say,AWK,$@)
	$(Q)awk -f $< $(LAYOUTS) > $@.new && mv $@.new $@

$(BUILD)/obj/src/go/layout_table.o: ALL_CPPFLAGS += -I$(BUILD)
$(BUILD)/obj/src/go/layout_table.o: $(BUILD)/layouts.gen.def

# --- set-up -------------------------------------------------------------------

# Installs what is missing where apt-get is; elsewhere names it and stops.
.PHONY: setup
setup:
	@PACKAGES="$(DEBIAN_PACKAGES)" PKG_CONFIG="$(PKG_CONFIG)" sh tests/support/setup $(PKGS) $(PKGS_TEST)

.PHONY: demo
demo: setup
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) corefiles/demo

.PHONY: corefiles
corefiles:
	corefiles/make-corefiles

# --- tests --------------------------------------------------------------------

.PHONY: test
test: setup
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) MAKE="$(MAKE)" tests/run

.PHONY: test-world check-unit check-headers check-layers check-goldens check-oracle check-asan check-asan-unit \
	check-asan-goldens check-valgrind golden
check-unit: $(UNIT_BIN)
	@corefiles/unpack >/dev/null
	@tests/support/run-unit $(UNIT_BIN)

# Each public header compiles alone.
check-headers:
	@CC="$(CC)" tests/support/check-headers

check-layers:
	@tests/support/check-layers

check-goldens: all
	@corefiles/unpack >/dev/null
	@GCORE_INSPECT=$(BUILD)/gcore-inspect tests/commands/run

golden: all
	@corefiles/unpack >/dev/null
	@GCORE_INSPECT=$(BUILD)/gcore-inspect tests/commands/run --rewrite

check-oracle: all
	@tests/oracle/run

# Programs that others wrote, fetched or built: downloads gigabytes. WORLD="-n 5 'deb-*'".
test-world: all
	@BUILD=$(BUILD) tests/oracle/world $(or $(WORLD),--write docs/support.md)

# Random programs that know themselves who has which lock and who is stuck; many of them, in all
# builds, and the numbers go into the documents. WAITS="--size 2 -g 1.27.4" chooses (and writes
# nothing).
WAITS_ALL = --size 3 -g all --builds default,noopt,race,pie,stripped,cgo --net \
	--dumps kernel:3,gcore:2,own:3,mini:2,live:4,nostop:4,held:60 --docs docs/wait-graph.md
.PHONY: test-waits
test-waits: all
	@BUILD=$(BUILD) tests/waits/run $(or $(WAITS),$(WAITS_ALL))

# Every release, build and kind of core that this machine can make; the table goes into the
# documents. MATRIX="-g 1.26.8 --builds pie" chooses (and writes nothing).
.PHONY: test-matrix
test-matrix: all
	@BUILD=$(BUILD) tests/oracle/matrix $(or $(MATRIX),--write docs/support.md)

ASAN = $(MAKE) --no-print-directory BUILD=build/asan OPT='-O1 -g' \
	SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
check-asan-unit:
	@$(ASAN) check-unit
check-asan-goldens:
	@$(ASAN) check-goldens
check-asan: check-asan-unit
	@$(ASAN) check-goldens

check-valgrind: all $(UNIT_BIN)
	@corefiles/unpack >/dev/null
	@tests/support/run-unit --wrap 'valgrind -q --error-exitcode=99 --leak-check=full' $(UNIT_BIN)

.PHONY: fuzz bench
fuzz:
	@$(MAKE) --no-print-directory BUILD=build/fuzz CC=clang OPT='-O1 -g' \
		SANITIZE='-fsanitize=fuzzer-no-link,address,undefined' fuzz-bins
	@tests/fuzz/run build/fuzz/tests/fuzz

.PHONY: fuzz-bins
fuzz-bins: $(FUZZ_BIN)
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(call obj,$(SUPPORT_SRC)) $(BUILD)/libgcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

bench: all
	@GCORE_INSPECT=$(BUILD)/gcore-inspect tests/bench/run

# --- layout tables ---------------------------------------------------------------

# For stripped programs: made from real ones, with each Go toolchain that is here.
.PHONY: layouts check-layouts
layouts: $(BUILD)/tests/layouts/dump
	@BUILD=$(BUILD) tests/layouts/generate

check-layouts: $(BUILD)/tests/layouts/dump
	@BUILD=$(BUILD) tests/layouts/generate --check

$(BUILD)/tests/layouts/dump: $(BUILD)/obj/tests/layouts/dump.o $(BUILD)/libgcore.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# --- documents, format ----------------------------------------------------------

.PHONY: docs format
docs: all
	$(BUILD)/gcore-inspect --manual > docs/manual.md

format:
	clang-format -i $(wildcard include/gcore/*.h src/*.c src/*/*.[ch] commands/*.c tests/*/*.[ch])

# --- install ------------------------------------------------------------------

prefix = $(DESTDIR)$(PREFIX)
.PHONY: install uninstall
install: all
	install -d $(prefix)/bin $(prefix)/lib/pkgconfig $(prefix)/include/gcore \
		$(prefix)/share/man/man1 $(prefix)/share/bash-completion/completions
	install -m 755 $(BUILD)/gcore-inspect $(prefix)/bin/gcore-inspect
	install -m 644 $(BUILD)/libgcore.a $(prefix)/lib/libgcore.a
	install -m 644 $(filter-out include/gcore/command.h,$(wildcard include/gcore/*.h)) $(prefix)/include/gcore/
	sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' docs/libgcore.pc.in \
		> $(prefix)/lib/pkgconfig/libgcore.pc
	install -m 644 docs/gcore-inspect.1 $(prefix)/share/man/man1/gcore-inspect.1
	install -m 644 docs/gcore-inspect.bash $(prefix)/share/bash-completion/completions/gcore-inspect

uninstall:
	rm -f $(prefix)/bin/gcore-inspect $(prefix)/lib/libgcore.a $(prefix)/lib/pkgconfig/libgcore.pc \
		$(prefix)/share/man/man1/gcore-inspect.1 \
		$(prefix)/share/bash-completion/completions/gcore-inspect
	rm -rf $(prefix)/include/gcore

.PHONY: clean
clean:
	rm -rf build

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
