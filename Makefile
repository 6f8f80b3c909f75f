# pgo: one non-recursive file.  `make help` lists what it can do.
#
#   V=1              full commands
#   SAN=address,undefined | SAN=thread      sanitizers (use another B, e.g. B=build-asan)
#   COV=1            coverage with gcov
#   WERROR=1         warnings are errors (CI)
#   B=DIR            where everything goes (build)

B ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
PKG_CONFIG ?= pkg-config
PROTOC_C ?= protoc-c
INSTALL ?= install

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

VERSION := 0.1.0

# Targets that must work before anything is installed.
SETUP_GOALS := deps help clean demo check install-deps
GOALS := $(or $(MAKECMDGOALS),all)

PKGS := libelf libdw libzstd zlib libisal libxxhash libconfuse jansson libprotobuf-c
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null) -lZydis

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings -Wundef
ifneq ($(WERROR),)
WARNINGS += -Werror
endif
OPT ?= -O2
CFLAGS ?= -g
# Floating point must not differ between machines: no contraction into fused multiply-add.
BASE_CFLAGS := -std=gnu17 -D_GNU_SOURCE -DPGO_VERSION='"$(VERSION)"' -I. -I$(B)/gen -pthread -ffp-contract=off $(WARNINGS)
LDLIBS += -pthread -lm
ifneq ($(SAN),)
BASE_CFLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS += -fsanitize=$(SAN)
endif
ifneq ($(COV),)
BASE_CFLAGS += --coverage
LDFLAGS += --coverage
endif
ALL_CFLAGS = $(BASE_CFLAGS) $(OPT) $(PKG_CFLAGS) $(CFLAGS)

ifeq ($(V),)
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)'
else
Q :=
say = @:
endif

# ---------------------------------------------------------------- the library and the program

LIB_SRCS := $(sort $(wildcard pgo/core/*.c fetch/*.c merge/*.c convert/*.c verify/*.c))
PROG_SRCS := $(sort $(wildcard pgo/*.c))
GEN_SRCS := $(B)/gen/profile.pb-c.c
LIB_OBJS := $(LIB_SRCS:%.c=$(B)/obj/%.o) $(B)/obj/gen/profile.pb-c.o
PROG_OBJS := $(PROG_SRCS:%.c=$(B)/obj/%.o)
# Everything but main(): tests of the program's own parts link it.
PROG_LIB_OBJS := $(filter-out $(B)/obj/pgo/main.o,$(PROG_OBJS))

.PHONY: all
all: $(B)/pgo

$(B)/pgo: $(PROG_OBJS) $(B)/libpgo.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(LDLIBS)

$(B)/libpgo.a: $(LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/obj/%.o: %.c | $(B)/gen/profile.pb-c.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Generated from our own statement of the message layout; the generator's style is not ours to warn about.
$(B)/gen/profile.pb-c.c $(B)/gen/profile.pb-c.h &: pgo/core/profile.proto
	@mkdir -p $(B)/gen
	$(call say,PROTOC,$<)
	$(Q)$(PROTOC_C) --proto_path=pgo/core --c_out=$(B)/gen pgo/core/profile.proto

$(B)/obj/gen/profile.pb-c.o: $(B)/gen/profile.pb-c.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -w -MMD -MP -c -o $@ $<

-include $(LIB_OBJS:.o=.d) $(PROG_OBJS:.o=.d)

# ---------------------------------------------------------------- tests

UNIT_SRCS := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BINS := $(UNIT_SRCS:tests/unit/%.c=$(B)/tests/%)
TEST_LIB_SRCS := $(sort $(wildcard tests/lib/*.c))
TEST_LIB_OBJS := $(TEST_LIB_SRCS:%.c=$(B)/obj/%.o)
FUZZ_SRCS := $(sort $(wildcard tests/fuzz/fuzz_*.c))
# With our own driver, which needs no fuzzer: saved inputs and their mutations.
FUZZ_BINS := $(FUZZ_SRCS:tests/fuzz/%.c=$(B)/tests/%)

.PHONY: units fuzz-bins
units: $(UNIT_BINS)
fuzz-bins: $(FUZZ_BINS)

$(B)/tests/test_%: $(B)/obj/tests/unit/test_%.o $(TEST_LIB_OBJS) $(PROG_LIB_OBJS) $(B)/libpgo.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcmocka $(LDLIBS)

$(B)/tests/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/fuzz/regress.o $(B)/libpgo.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(LDLIBS)

.SECONDARY:
-include $(UNIT_SRCS:%.c=$(B)/obj/%.d) $(FUZZ_SRCS:%.c=$(B)/obj/%.d) $(TEST_LIB_OBJS:.o=.d)
-include tests/emu/emu.mk

.PHONY: clean
clean:
	rm -rf $(B)
