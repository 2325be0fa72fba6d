# gcore-inspect: build, test, install. See README.md; docs/style.md lists the habits.

PREFIX ?= /usr/local
CC ?= gcc
PKG_CONFIG ?= pkg-config
BUILD ?= build
VERSION := 0.1.0

PKGS := libelf 'libdw >= 0.188' libunwind-generic readline jansson libarchive capstone
PKGS_TEST := cmocka

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wpointer-arith -Werror
OPT ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -DGI_VERSION='"$(VERSION)"' -Iinclude -Isrc
CFLAGS ?= $(OPT)
ALL_CFLAGS = -std=gnu11 $(WARN) -fno-strict-aliasing -pthread $(CFLAGS) $(SANITIZE)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
LDLIBS = $(PKG_LIBS) -lunwind-x86_64 -pthread

LIB_SRC := $(filter-out src/main.c $(wildcard src/repl/*.c),$(wildcard src/*/*.c))
REPL_SRC := $(wildcard src/repl/*.c)
CMD_SRC := $(wildcard commands/*.c)
SUPPORT_SRC := $(wildcard tests/support/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(LIB_SRC))
REPL_OBJ := $(call obj,$(REPL_SRC) $(CMD_SRC)) $(BUILD)/obj/commands.gen.o
UNIT_BIN := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))

.PHONY: all
all: $(BUILD)/libgcore.a $(if $(wildcard src/main.c),$(BUILD)/gcore-inspect)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libgcore.a: $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

# The command table: one gi_cmd_NAME for each commands/NAME.c.
$(BUILD)/commands.gen.c: $(CMD_SRC) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "gcore/command.h"'; \
	   for c in $(sort $(basename $(notdir $(CMD_SRC)))); do echo "extern const struct gi_command gi_cmd_$$c;"; done; \
	   echo 'extern const struct gi_command *const gi_commands[];'; \
	   echo 'const struct gi_command *const gi_commands[] = {'; \
	   for c in $(sort $(basename $(notdir $(CMD_SRC)))); do echo "	&gi_cmd_$$c,"; done; \
	   echo '	NULL,'; echo '};'; } > $@

$(BUILD)/obj/commands.gen.o: $(BUILD)/commands.gen.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) -c $< -o $@

$(BUILD)/libgcore-repl.a: $(REPL_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/gcore-inspect: $(BUILD)/obj/src/main.o $(BUILD)/libgcore-repl.a $(BUILD)/libgcore.a
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(call obj,$(SUPPORT_SRC)) $(if $(wildcard src/main.c),$(BUILD)/libgcore-repl.a) $(BUILD)/libgcore.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(shell $(PKG_CONFIG) --libs $(PKGS_TEST))

.PHONY: check-unit
check-unit: $(UNIT_BIN)
	@set -e; for t in $(UNIT_BIN); do echo "== $$t"; $$t; done

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
