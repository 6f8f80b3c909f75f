/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line that says what is mapped where, as text: a line of /proc/PID/maps, or the brief form
 * "start-end file (@offset) build-id" of profiles that were edited by hand or by symbolizers.
 */
#ifndef PGO_FETCH_MAP_LINE_H
#define PGO_FETCH_MAP_LINE_H

#include "fetch/recording.h"

struct pgo_map_line {
	struct pgo_rec_map map; /* its strings are to be pointed at the two below */
	char filename[4096];
	char build_id[129];
};

/* True for executable mappings with a file name; all else (also other text) is false. */
bool pgo_map_line_parse(const char *line, size_t len, struct pgo_map_line *ret);

#endif
