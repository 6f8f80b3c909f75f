# SPDX-License-Identifier: Apache-2.0
# Profiles in a build by GNU Make (4.2 or newer):
#
#	PGO_TARGET = app                     # of pgo.conf; or PGO_PROFILE = FILE|DIR
#	include $(shell pgo --make-include)
#
#	%.o: %.c $(PGO_STAMP)
#		$(CC) $(CFLAGS) $(PGO_CFLAGS) -c -o $@ $<
#	app.linked: $(OBJS)
#		$(CC) $(LDFLAGS) $(PGO_LDFLAGS) -o $@ $^
#	app: app.linked $(PGO_BOLT_STAMP)
#		$(call pgo_bolt,app.linked,$@)
#
# Where pgo is not installed, all of these are empty and the build is what it was.
#
# Before the include, if the default is not what is wanted:
#	PGO          the program (pgo)
#	PGO_CONFIG   the configuration (pgo.conf)
#	PGO_COMPILER what reads the profile ($(CC); C++ alone: $(CXX))
#	PGO_STAGE    both, record or use (both)
#	PGO_REQUIRE  none, any or fresh (none): without such a profile the build ends
#	PGO_DIR      where profile and flags are kept (.pgo)
#	PGO_OPTIONS  more options of pgo flags
#	PGO_BOLT     llvm-bolt, if it gets the program; empty: it does not
# After it:
#	PGO_CFLAGS, PGO_LDFLAGS  for $(CC)
#	PGO_STAMP                changes when and only when the flags or the profile do
#	PGO_BOLT_STAMP           the same of llvm-bolt's
#	$(call pgo_bolt,IN,OUT)  a recipe's line: OUT is IN, rewritten if there is a profile

PGO ?= pgo
PGO_CONFIG ?= pgo.conf
PGO_COMPILER ?= $(CC)
PGO_STAGE ?= both
PGO_REQUIRE ?= none
PGO_DIR ?= .pgo

pgo_key := $(if $(PGO_TARGET),$(PGO_TARGET),pgo)
pgo_quote = '$(subst ','\'',$(1))'
pgo_where := $(if $(PGO_TARGET),--target $(call pgo_quote,$(PGO_TARGET)) --config $(call pgo_quote,$(PGO_CONFIG)))
ifeq ($(PGO_TARGET),)
pgo_where := $(if $(PGO_PROFILE),--profile $(call pgo_quote,$(PGO_PROFILE)))
endif
# Without a place for a profile it is a build to be recorded.
pgo_stage := $(if $(pgo_where),$(PGO_STAGE) --require $(PGO_REQUIRE),record)

# $(call pgo_ask,COMPILER,STAGE,OWN,DIR): writes what is new, and ends the build if that cannot be done.
pgo_ask = $(shell $(PGO) flags --compiler $(call pgo_quote,$(1)) --stage $(2) $(pgo_where) --own $(call pgo_quote,$(3)) \
	--dir $(call pgo_quote,$(4)) $(PGO_OPTIONS) $(if $(PGO_BOLT),--bolt))$(if $(filter-out 0,$(.SHELLSTATUS)),$(error \
	pgo flags ended with $(.SHELLSTATUS)))
pgo_read = $(strip $(file <$(1)))

# Goals that build nothing ask nothing.
ifneq ($(filter-out clean distclean mostlyclean help,$(or $(MAKECMDGOALS),all)),)
$(call pgo_ask,$(PGO_COMPILER),$(pgo_stage),$(CPPFLAGS) $(CFLAGS) $(CXXFLAGS),$(PGO_DIR))
PGO_STAMP := $(PGO_DIR)/$(pgo_key).cflags
PGO_CFLAGS := $(call pgo_read,$(PGO_DIR)/$(pgo_key).cflags)
PGO_LDFLAGS := $(call pgo_read,$(PGO_DIR)/$(pgo_key).ldflags)
ifneq ($(PGO_BOLT),)
ifneq ($(pgo_where),)
$(call pgo_ask,$(PGO_BOLT),use --require $(PGO_REQUIRE),,$(PGO_DIR)/bolt)
PGO_BOLT_STAMP := $(PGO_DIR)/bolt/$(pgo_key).cflags
PGO_BOLT_FLAGS := $(call pgo_read,$(PGO_BOLT_STAMP))
endif
endif
endif

# A program that llvm-bolt cannot rewrite is used as it was linked, unless a profile is required.
pgo_bolt = $(if $(PGO_BOLT_FLAGS),$(PGO_BOLT) $(1) -o $(2) $(PGO_BOLT_FLAGS) \
	$(if $(filter none,$(PGO_REQUIRE)),|| { echo "pgo: warning: llvm-bolt failed: $(2) is not rewritten" >&2; cp $(1) $(2); }),cp $(1) $(2))
