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

# Targets that must work before anything is installed; they call this file again for the rest.
SETUP_GOALS := deps help clean demo check check-stores check-engines check-operate check-distros deb ci
GOALS := $(or $(MAKECMDGOALS),all)
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# As many jobs as processors, unless make was told otherwise.
SUBMAKE = $(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(JOBS))

PKGS := libelf libdw libcurl expat libzstd zlib libisal libxxhash libconfuse jansson libprotobuf-c
ifneq ($(filter-out $(SETUP_GOALS),$(GOALS)),)
ifneq ($(shell $(PKG_CONFIG) --exists $(PKGS) 2>/dev/null && command -v $(PROTOC_C)),$(shell command -v $(PROTOC_C) || echo none))
$(error libraries to build with are missing; run: make deps)
endif
endif
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
# libcurl is loaded by the one file that calls it, when it is needed.
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(filter-out libcurl,$(PKGS)) 2>/dev/null) -lZydis

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
ALL_CFLAGS = $(BASE_CFLAGS) $(OPT) $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS)

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
LIB_OBJS := $(LIB_SRCS:%.c=$(B)/obj/%.o) $(B)/obj/gen/profile.pb-c.o $(B)/obj/gen/html_assets.o
PROG_OBJS := $(PROG_SRCS:%.c=$(B)/obj/%.o)
# Everything but main(), as an archive: tests of the program's own parts take what they need.
PROG_LIB_OBJS := $(filter-out $(B)/obj/pgo/main.o,$(PROG_OBJS))

.PHONY: all
all: $(B)/pgo ## the program (default)

$(B)/pgo: $(PROG_OBJS) $(B)/libpgo.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(LDLIBS)

$(B)/libprogram.a: $(PROG_LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

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

# Style and script of the HTML pages, as bytes.
HTML_ASSETS := verify/html/report.css verify/html/report.js
$(B)/gen/html_assets.c: $(HTML_ASSETS)
	@mkdir -p $(@D)
	$(call say,EMBED,$^)
	$(Q){ echo '#include "verify/html_assets.h"'; for f in $(HTML_ASSETS); do \
		n=pgo_html_$${f##*.}; echo "const char $$n[] = {"; \
		od -An -v -tu1 $$f | sed 's/  *\([0-9][0-9]*\)/(char)\1,/g'; echo "0};"; \
		echo "const size_t $${n}_len = sizeof $$n - 1;"; done; } >$@

$(B)/obj/gen/html_assets.o: $(B)/gen/html_assets.c verify/html_assets.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

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

$(B)/tests/test_%: $(B)/obj/tests/unit/test_%.o $(TEST_LIB_OBJS) $(B)/libprogram.a $(B)/libpgo.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcmocka $(LDLIBS)

$(B)/tests/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/fuzz/regress.o $(B)/libpgo.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(LDLIBS)

# The same targets under libFuzzer (`make fuzz` builds them with clang in a directory of their own).
FUZZ_ENGINES := $(FUZZ_SRCS:tests/fuzz/%.c=$(B)/fuzz/%)

$(B)/fuzz/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/libpgo.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS) $(LDLIBS)

# Measurements that need the library itself; tests/bench/*.sh build and run them.
$(B)/bench/bench_%: $(B)/obj/tests/bench/bench_%.o $(B)/libpgo.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(LDLIBS)

# Measures of the truth tests (tests/truth/README.md).
.PHONY: truth-tools
truth-tools: $(B)/truth-tools/truth $(B)/truth-tools/stopwatch

$(B)/truth-tools/stopwatch: tests/bench/stopwatch.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(BASE_CFLAGS) -O2 -o $@ $<

$(B)/truth-tools/truth: $(B)/obj/tests/truth/truth.o $(B)/libpgo.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(LDLIBS)

.SECONDARY:
-include $(B)/obj/tests/truth/truth.d $(UNIT_SRCS:%.c=$(B)/obj/%.d) $(FUZZ_SRCS:%.c=$(B)/obj/%.d) $(TEST_LIB_OBJS:.o=.d)
-include tests/emu/emu.mk

# What the tests need beside the program.  The instrument under tests/emu is optional for them.
.PHONY: tests-built check-built
tests-built: all units fuzz-bins emu
check-built: tests-built
	@B=$(B) tests/run.sh

.PHONY: deps check check-stores check-engines check-operate check-san check-tsan lint fuzz bench consumers demo ci truth
deps: ## installs what building needs, or says the command that does
	@tests/deps.sh build

check: ## installs what the tests need, builds, runs every test
	@$(if $(NO_DEPS),:,tests/deps.sh check)
	+@$(SUBMAKE) check-built

check-stores: ## fetch and push against real store servers, built with Go once (16 minutes) and kept in ~/.cache
	@$(if $(NO_DEPS),:,tests/deps.sh stores)
	+@$(SUBMAKE) all
	@tests/stores/build.sh || [ $$? = 77 ]
	@B=$(B) tests/run.sh stores

check-engines: ## merging in shards by real engines on this machine: Slurm, Spark, GNU parallel; Kubernetes' manifests
	@$(if $(NO_DEPS),:,tests/deps.sh engines)
	+@$(SUBMAKE) all
	@B=$(B) JOBS=1 tests/run.sh engines

check-operate: ## operating it for long: killed runs, full disks, twelve weeks of a service, real rebuilds
	@$(if $(NO_DEPS),:,tests/deps.sh operate)
	+@$(SUBMAKE) all emu
	@B=$(B) tests/run.sh operate

check-san: ## unit, fuzz and command-line tests under AddressSanitizer and UBSan
	+@$(SUBMAKE) B=build-asan SAN=address,undefined OPT=-O1 all units fuzz-bins
	@B=build-asan tests/run.sh unit fuzz cli

check-tsan: ## unit tests under ThreadSanitizer
	+@$(SUBMAKE) B=build-tsan SAN=thread OPT=-O1 all units
	@B=build-tsan tests/run.sh unit

law: $(B)/tests/test_law ## the laws of merging in shards over 100 orders of a fleet (make check takes 12)
	@PGO_LAW_ORDERS=100 $(B)/tests/test_law

lint: all ## layers, names, banned calls, format, scripts, man pages
	@B=$(B) tests/run.sh lint

FUZZ_SECONDS ?= 60
fuzz: ## every fuzz target under libFuzzer for FUZZ_SECONDS (60) each; findings in build-fuzz/
	+@cc=$$(tests/tools.sh clang) || { echo "fuzz: clang is needed; run: tests/deps.sh check"; exit 1; }; \
	$(SUBMAKE) B=build-fuzz CC="$$cc" SAN=fuzzer-no-link,address,undefined fuzz-engines
	@B=build-fuzz tests/fuzz/run.sh $(FUZZ_SECONDS)

.PHONY: fuzz-engines
fuzz-engines: $(FUZZ_ENGINES)

bench: all ## measures; prints ratios to the other tools that are there
	@found=; for f in tests/bench/*.sh; do [ -e "$$f" ] || continue; found=1; B=$(B) "$$f" || exit 1; done; \
	[ -n "$$found" ] || echo "there are no benchmarks yet"

truth: all emu truth-tools ## holds conversions of real programs against exact counts, and other converters'; takes long
	@$(if $(NO_DEPS),:,tests/deps.sh check)
	@B=$(B) tests/truth/all.sh

consumers: all emu ## profiles before gcc 9 to 16 and clang 14 to 23 (needs root; makes directories in ~/.cache)
	@B=$(B) tests/consumers/table.sh

demo: ## profiles, rebuilds and verifies a sample program; ends with a table
	@$(if $(NO_DEPS),:,tests/deps.sh demo)
	+@$(SUBMAKE) all emu
	@NO_DEPS=1 tests/demo/demo.sh $(B)

ci: ## what continuous integration runs
	@.ci/run

# ---------------------------------------------------------------- installing

BINDIR = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share
ZSH_FUNCTIONS ?= $(PREFIX)/share/zsh/site-functions
MAN_PAGES := $(sort $(wildcard pgo/man/*.[1-9]))
# pgo/man/pgo.conf.5 -> man5/pgo.conf.5
INSTALLED_MAN = $(foreach m,$(MAN_PAGES),$(SHARE)/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))

ENGINES := merge/engines/pgo-parallel merge/engines/pgo-slurm merge/engines/pgo-kubernetes merge/engines/pgo_spark.py
# Modules for build systems; those of CMake where it looks for them.
CMAKE_MODULES := $(sort $(wildcard pgo/modules/cmake/*.cmake))
MODULES := $(filter-out $(CMAKE_MODULES) pgo/modules/debhelper/pgo.pm,$(sort $(wildcard pgo/modules/* pgo/modules/*/*)))
MODULES := $(filter-out $(patsubst %/,%,$(wildcard pgo/modules/*/)),$(MODULES))
UNITS := pgo/service/pgo@.service pgo/service/pgo@.timer pgo/service/pgo-failed@.service
SYSTEMD = $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERS = $(DESTDIR)$(PREFIX)/lib/sysusers.d

.PHONY: deb tarball check-distros
deb: ## a Debian package in build/deb/, looked at by lintian
	@B=$(B) pgo/package/deb.sh

tarball: all ## a program that runs on other distributions, in build/release/
	@B=$(B) CC="$(CC)" pgo/package/tarball.sh

check-distros: ## demo and package in fresh minimal roots of Debian 12, 13 and unstable (needs root; half an hour)
	@tests/distros/distros.sh

.PHONY: install uninstall
install: all ## program, man pages, completion; DESTDIR and PREFIX (/usr/local) say where
	$(INSTALL) -d $(BINDIR)
	$(INSTALL) -m 755 $(B)/pgo $(BINDIR)/pgo
	@set -e; for m in $(MAN_PAGES); do d=$(SHARE)/man/man$${m##*.}; \
		$(INSTALL) -d $$d; echo "$(INSTALL) -m 644 $$m $$d"; $(INSTALL) -m 644 $$m $$d; done
	$(INSTALL) -d $(SHARE)/bash-completion/completions $(DESTDIR)$(ZSH_FUNCTIONS) $(SHARE)/fish/vendor_completions.d
	$(INSTALL) -m 644 pgo/completion/pgo.bash $(SHARE)/bash-completion/completions/pgo
	$(INSTALL) -m 644 pgo/completion/_pgo $(DESTDIR)$(ZSH_FUNCTIONS)/_pgo
	$(INSTALL) -m 644 pgo/completion/pgo.fish $(SHARE)/fish/vendor_completions.d/pgo.fish
	$(INSTALL) -d $(SHARE)/pgo/tutorial
	$(INSTALL) -m 644 pgo/tutorial/shop.c $(SHARE)/pgo/tutorial
	$(INSTALL) -d $(SHARE)/pgo/engines $(SHARE)/pgo/schema
	$(INSTALL) -m 644 verify/verdict.schema.json $(SHARE)/pgo/schema
	$(INSTALL) -m 755 $(ENGINES) $(SHARE)/pgo/engines
	$(INSTALL) -m 644 merge/engines/engine.bash merge/engines/README.md $(SHARE)/pgo/engines
	@set -e; for m in $(MODULES); do f=$(SHARE)/pgo/modules/$${m#pgo/modules/}; \
		$(INSTALL) -d $${f%/*}; echo "$(INSTALL) -m 644 $$m $$f"; $(INSTALL) -m 644 $$m $$f; done
	$(INSTALL) -d $(SHARE)/cmake/pgo
	$(INSTALL) -m 644 $(CMAKE_MODULES) $(SHARE)/cmake/pgo
	$(INSTALL) -d $(SYSTEMD) $(SYSUSERS) $(SHARE)/pgo/service
	@set -e; for u in $(UNITS); do echo "sed s,@BINDIR@,$(PREFIX)/bin, $$u > $(SYSTEMD)/$${u##*/}"; \
		sed 's,@BINDIR@,$(PREFIX)/bin,' $$u > $(SYSTEMD)/$${u##*/}; chmod 644 $(SYSTEMD)/$${u##*/}; done
	$(INSTALL) -m 644 pgo/service/pgo.sysusers $(SYSUSERS)/pgo.conf
	$(INSTALL) -m 644 pgo/service/README.md pgo/service/pgo.cron pgo/service/cronjob.yaml pgo/service/alerts.yml \
		$(SHARE)/pgo/service
	$(INSTALL) -d $(SHARE)/perl5/Debian/Debhelper/Sequence
	$(INSTALL) -m 644 pgo/modules/debhelper/pgo.pm $(SHARE)/perl5/Debian/Debhelper/Sequence

uninstall: ## removes what install put there
	rm -f $(BINDIR)/pgo $(INSTALLED_MAN) $(SHARE)/bash-completion/completions/pgo \
		$(DESTDIR)$(ZSH_FUNCTIONS)/_pgo $(SHARE)/fish/vendor_completions.d/pgo.fish
	rm -rf $(SHARE)/pgo/engines $(SHARE)/pgo/tutorial $(SHARE)/pgo/schema $(SHARE)/pgo/modules $(SHARE)/cmake/pgo
	rm -rf $(SHARE)/pgo/service
	rm -f $(patsubst pgo/service/%,$(SYSTEMD)/%,$(UNITS)) $(SYSUSERS)/pgo.conf
	rm -f $(SHARE)/perl5/Debian/Debhelper/Sequence/pgo.pm

.PHONY: clean help
clean: ## removes build/ (or B); other build directories stay
	rm -rf $(B)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | sort | while IFS='|' read -r t d; do \
		printf '%-18s %s\n' "$$t" "$$d"; done
	@sed -n '2,/^$$/s/^#\{0,1\} \{0,1\}//p' Makefile | sed -n '/V=1/,$$p'
