/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/versions.h"

#include <Zydis/Zydis.h>
#include <curl/curlver.h>
#include <elfutils/version.h>
#include <expat.h>
#include <isa-l.h>
#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#define STR(x) #x
#define XSTR(x) STR(x)
#define ISAL_TEXT XSTR(ISAL_MAJOR_VERSION) "." XSTR(ISAL_MINOR_VERSION) "." XSTR(ISAL_PATCH_VERSION)

struct library {
	const char *name;
	char version[32];
};

#define N_LIBRARIES 10

/* Of the running library where it can tell, else of the headers. */
static void collect(struct library lib[N_LIBRARIES])
{
	uint64_t zydis = ZydisGetVersion();
	size_t n = 0;

#define ADD(lib_name, ...)                                                                         \
	(lib[n].name = (lib_name), snprintf(lib[n++].version, sizeof lib[0].version, __VA_ARGS__))
	ADD("curl", "%s", LIBCURL_VERSION);
	ADD("elfutils", "0.%d", _ELFUTILS_VERSION);
	ADD("expat", "%s", XML_ExpatVersion() + strlen("expat_"));
	ADD("isa-l", "%s", ISAL_TEXT);
	ADD("jansson", "%s", JANSSON_VERSION);
	ADD("protobuf-c", "%s", protobuf_c_version());
	ADD("xxhash", "%d.%d.%d", XXH_VERSION_MAJOR, XXH_VERSION_MINOR, XXH_VERSION_RELEASE);
	ADD("zlib", "%s", zlibVersion());
	ADD("zstd", "%s", ZSTD_versionString());
	ADD("zydis", "%d.%d.%d", (int)ZYDIS_VERSION_MAJOR(zydis), (int)ZYDIS_VERSION_MINOR(zydis),
		(int)ZYDIS_VERSION_PATCH(zydis));
#undef ADD
}

void pgo_versions_text(struct pgo_buf *out)
{
	struct library lib[N_LIBRARIES];

	collect(lib);
	pgo_buf_printf(out, "pgo %s\nwith", PGO_VERSION);
	for (size_t i = 0; i < N_LIBRARIES; i++)
		pgo_buf_printf(out, "%s %s %s", i != 0 ? "," : "", lib[i].name, lib[i].version);
	pgo_buf_putc(out, '\n');
}

void pgo_versions_json(struct pgo_json *j)
{
	struct library lib[N_LIBRARIES];

	collect(lib);
	pgo_json_object(j);
	pgo_json_kv_str(j, "pgo", PGO_VERSION);
	pgo_json_key(j, "libraries");
	pgo_json_object(j);
	for (size_t i = 0; i < N_LIBRARIES; i++)
		pgo_json_kv_str(j, lib[i].name, lib[i].version);
	pgo_json_end_object(j);
	pgo_json_end_object(j);
	pgo_json_finish(j);
}
