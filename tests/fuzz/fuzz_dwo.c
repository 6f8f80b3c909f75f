/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a file of split debug information, by itself (.dwo) or packed (.dwp): every unit that
 * is found lies within the file, piece by piece.
 */
#include "convert/dwo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads both ends, so that a sanitizer sees where it lies. */
static void touch(struct pgo_dwo_bytes b)
{
	volatile uint8_t sink;

	if (b.len == 0)
		return;
	sink = b.p[0];
	sink = b.p[b.len - 1];
	(void)sink;
}

static void ask(struct pgo_dwo *d, const char *name, uint64_t id)
{
	struct pgo_dwo_query q = {.name = name, .id = id};
	struct pgo_dwo_unit u = {0};

	if (!pgo_dwo_find(d, &q, &u))
		return;
	if (u.info.len < 12 || u.version < 4 || u.version > 5 || u.file == NULL)
		abort();
	touch(u.info);
	touch(u.abbrev);
	touch(u.line);
	touch(u.str);
	touch(u.str_offsets);
	touch(u.rnglists);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", 0);
	struct pgo_elf program = {.path = "/nowhere/app"};
	const char *dirs[1];
	struct pgo_dwo *d;
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	dirs[0] = path;
	d = pgo_dwo_new(&program, &program, dirs, 1, NULL);
	if (d == NULL)
		abort();
	/* Ids stand in the headers of units and in indices: any 8 bytes may be one. */
	for (size_t i = 0, n = 0; i + 8 <= size && n < 2048; i += 4, n++) {
		uint64_t id;

		memcpy(&id, data + i, sizeof id);
		ask(d, path, id);
	}
	ask(d, path, 0);
	pgo_dwo_free(d);
	close(fd);
	return 0;
}
