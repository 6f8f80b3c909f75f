# SPDX-License-Identifier: Apache-2.0
# The instrument for branch data without the hardware (README.md here). `make emu` builds it under $(B)/emu.
# It is no part of the program and is never built with sanitizers: the emulator could not load them.

EMU_CFLAGS = -std=gnu17 -D_GNU_SOURCE $(WARNINGS) -O2 $(CFLAGS)
EMU_PLUGIN_SRCS := $(addprefix tests/emu/,ring_plugin.c ring_sample.c ring_maps.c ring_out.c ring_isa.c emuelf.c)
EMU_MKPERF_SRCS := $(addprefix tests/emu/,mkperf.c mkrecords.c mkplan.c perfwrite.c perftext.c ringload.c)
EMU_EXACT_SRCS := $(addprefix tests/emu/,exact.c ringload.c)
EMU_HEADERS := $(wildcard tests/emu/*.h)

.PHONY: emu
emu: $(B)/emu/ring_plugin.so $(B)/emu/mkperf $(B)/emu/exact

$(B)/emu/ring_plugin.so: $(EMU_PLUGIN_SRCS) $(EMU_HEADERS)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(EMU_CFLAGS) -fPIC -shared -fvisibility=hidden -pthread -o $@ $(EMU_PLUGIN_SRCS)

$(B)/emu/mkperf: $(EMU_MKPERF_SRCS) $(EMU_HEADERS)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(EMU_CFLAGS) -o $@ $(EMU_MKPERF_SRCS) -lzstd

$(B)/emu/exact: $(EMU_EXACT_SRCS) $(EMU_HEADERS)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(EMU_CFLAGS) -o $@ $(EMU_EXACT_SRCS)
