/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP profiles (opentelemetry.proto.profiles.v1development), what OpenTelemetry's eBPF profiler and
 * Collector write -> pprof.
 *
 * Forms: one ProfilesData or export request as protobuf; as JSON; several of them one after the
 * other, as JSON (the Collector writes one a line) or each behind its length in four bytes, most
 * significant first, and then possibly compressed by itself (what the Collector's file exporter
 * writes as "proto").
 *
 * Revisions of the messages, told apart by what is there, as none says its version:
 *	ranges    samples are ranges of a list of locations in their profile, with a value for each
 *	          sample type; a dictionary of tables (OTLP 1.6 and 1.7)
 *	stacks    a table of stacks, one sample type a profile; samples hold values, attributes, link
 *	          in this order, in fields 2 to 4 (from 1.8 on)
 *	current   attributes, link, values in fields 2 to 4
 * Where the last two cannot be told apart, which takes samples with as many attributes as time
 * stamps and nothing else, it is the current one.  Files without a dictionary (before 1.6) are
 * refused.
 *
 * What becomes of it: one pprof for each program (process.executable.name) of each resource and
 * period.  Attributes of the resource become labels on its samples: host.name is host, service.name
 * service, service.version version, others with a text value keep their names; but those of one
 * process or thread, which would make every restart another profile, are left out.  Attributes of
 * samples likewise.  Sample types with equal stacks are columns of one pprof: what was one pprof
 * before OTLP took it apart is one again, branch records as well.  A sample that has time stamps and
 * no values counts one for each.
 *
 * Addresses stay as they are: the profiler writes ELF virtual addresses with a mapping that says so
 * (pgo/core/resolve.h).  The build-id of a mapping is its attribute process.executable.build_id.gnu;
 * without that the file's id (.htlhash), which becomes the build-id of the file given as binary that
 * has it; without that Go's (.go).
 */
#ifndef PGO_FETCH_OTLP_H
#define PGO_FETCH_OTLP_H

#include "fetch/import.h"
#include "pgo/core/inflate.h"

/* Is this the beginning of such a file?  `head`: its first bytes, inflated. */
bool pgo_otlp_probe(const void *head, size_t len);

/*
 * Reads all of `stream` and fills profiles, groups, hosts and statistics of `ret`, which is empty
 * but for its kind.  Each sample is used, or without data (no value, no stack).  Values below 0 and
 * indices out of their table are PGO_EFORMAT with the place.
 */
int pgo_otlp_import(struct pgo_stream *stream, const struct pgo_import_options *o,
	struct pgo_imported *ret, struct pgo_err *err) PGO_MUST_CHECK;

#endif
