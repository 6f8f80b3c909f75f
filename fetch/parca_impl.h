/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the Parca source share: columns that belong together, and the objects that a
 * listing made of hosts and windows.
 *
 * A family is what one push of a profile became: columns of one name, period type and delta.  An
 * object is a family, a set of labels (host, service, version, and what the user selects by) and a
 * window of the UTC grid, cut by --since and --until.
 */
#ifndef PGO_FETCH_PARCA_IMPL_H
#define PGO_FETCH_PARCA_IMPL_H

#include "fetch/grpc_web.h"
#include "fetch/parca_wire.h"
#include "fetch/source.h"
#include "fetch/store_url.h"
#include "pgo/core/profile.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stdint.h>

#define PGO_PARCA_COLUMNS 64 /* of a family; more are left out, with a warning */

struct pgo_parca_family {
	struct pgo_parca_type *types; /* its columns: sample types differ, the rest is the same */
	size_t n, room;
};

/* Label names; "" = the store has none. */
struct pgo_parca_names {
	char *host, *service, *version;
};

struct pgo_parca_cell { /* one column of an object */
	uint64_t rows;
	int64_t sum;
};

struct pgo_parca_object {
	char *name;
	uint32_t family;
	uint32_t labels;              /* index of a set of labels */
	int64_t from_ns, to_ns;       /* what is asked for: from <= time < to */
	int64_t window_ns;            /* where its window begins */
	struct pgo_parca_cell *cells; /* of the family's columns */
	unsigned halvings;            /* how often less had to be asked for at a time */
	bool joined;                  /* all hosts in one */
	/* Learned while its parts come in: the period by which counts of samples were multiplied. */
	int64_t probe_ns, probe_single, period;
	unsigned probe_step;
};

/* Labels of an object, of those that it is told apart by: what its series has. */
struct pgo_parca_labels {
	struct pgo_kv *kv;
	size_t n, room;
};

struct pgo_parca_source {
	struct pgo_source base;
	struct pgo_store_url url;
	int64_t window; /* length of windows */
	bool joined;    /* hosts=joined */
	struct pgo_parca_names names;
	char **kept; /* names of labels that objects are told apart by, sorted */
	size_t n_kept, kept_room;
	struct pgo_parca_family *families;
	size_t n_families, families_room;
	struct pgo_strtab matchers;      /* sets of labels as text of a query; ids are indices */
	struct pgo_parca_labels *labels; /* the same as pairs */
	size_t n_labels, labels_room;
	struct pgo_parca_object *objects; /* sorted by name, joined ones and single ones */
	size_t n_objects, objects_room;
};

/* Is this the column that the server multiplies by the period in merges? */
bool pgo_parca_is_product(const struct pgo_parca_type *t);
/* Asks by gRPC-Web for one message: `method` is a path, `message` the request's.  The reply's
 * message is appended to `ret`.  PGO_EEMPTY where the store finds nothing. */
int pgo_parca_ask(struct pgo_parca_source *s, const char *method, const struct pgo_buf *message,
	struct pgo_buf *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* Appends `{__name__="NAME:TYPE:...:delta"`, the beginning of a query. */
void pgo_parca_put_name(struct pgo_buf *b, const struct pgo_parca_type *t);
/* The query for one column of an object: gives a string (pgo_free); NULL = memory. */
char *pgo_parca_query(const struct pgo_parca_source *s, const struct pgo_parca_type *t,
	const struct pgo_parca_object *o);

/*
 * The file of a reply as a reader of its pprof; it keeps `hold`, to be freed after it.  NULL, and
 * PGO_OK in `err`, where there is none.
 */
struct pgo_reader *pgo_parca_read(const char *path, struct pgo_buf *hold, struct pgo_err *err);
struct pgo_parca_totals {
	int64_t sum; /* of all values */
	uint64_t samples;
	int64_t by;
	bool divisible; /* all values are multiples of `by`, unless that is 0 */
};
/* Adds the values in the file of a reply. */
int pgo_parca_add_up(
	const char *path, struct pgo_parca_totals *t, struct pgo_err *err) PGO_MUST_CHECK;

/* What a part of an object asks for. */
struct pgo_parca_part {
	enum { PGO_PARCA_COLUMN, PGO_PARCA_PERIOD } kind;
	const struct pgo_parca_type *type;
	int64_t from_ns, to_ns; /* from <= time < to */
};
/* NULL if there is none of that name. */
struct pgo_parca_object *pgo_parca_object_of(const struct pgo_parca_source *s, const char *name);
unsigned pgo_parca_parts_of(const struct pgo_parca_source *s, const struct pgo_parca_object *o);
struct pgo_parca_part pgo_parca_part_at(
	const struct pgo_parca_source *s, const struct pgo_parca_object *o, unsigned index);
/* The column whose counts are multiplied by the period, if the object has it. */
const struct pgo_parca_type *pgo_parca_product_of(
	const struct pgo_parca_family *f, const struct pgo_parca_object *o);

/* Rows of the operations (fetch/source.h). */
int pgo_parca_request(struct pgo_source *src, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err);
void pgo_parca_request_end(struct pgo_source *src, struct pgo_http_request *r);
int pgo_parca_reply(struct pgo_source *src, const char *name, unsigned part,
	const struct pgo_http_reply *reply, const char *path, struct pgo_err *err);
unsigned pgo_parca_refine(struct pgo_source *src, const char *name, int why);
int pgo_parca_assemble(struct pgo_source *src, const char *name, const char *const *paths, size_t n,
	const char *to_path, struct pgo_err *err);
int pgo_parca_put(struct pgo_source *src, const struct pgo_push_item *item, struct pgo_err *err);

/* The server gives up after a minute; one that was told to wait longer is waited for. */
#define PGO_PARCA_CALL_MS 300000

/* The same, with the message in `b`, where the reply's is put; an empty one where there is nothing. */
int pgo_parca_ask_here(struct pgo_parca_source *s, const char *method, struct pgo_buf *b,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Fills the families of columns that the query wants. */
int pgo_parca_find_families(struct pgo_parca_source *s, int64_t from_ns, int64_t to_ns,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Chooses the labels that objects are told apart by. */
int pgo_parca_find_labels(struct pgo_parca_source *s, const struct pgo_query *q, int64_t from_ns,
	int64_t to_ns, struct pgo_err *err) PGO_MUST_CHECK;
/* The store's name for what a matcher calls host, service or version; others are their own. */
const char *pgo_parca_label_name(const struct pgo_parca_source *s, const char *key);
/* The index of the set of those labels with these values; `without`: one to leave out, or NULL. */
int pgo_parca_labels_id(struct pgo_parca_source *s, const struct pgo_kv *have, size_t n,
	const char *without, uint32_t *ret, struct pgo_err *err) PGO_MUST_CHECK;

/* Fills families, labels and objects. */
int pgo_parca_find(
	struct pgo_parca_source *s, const struct pgo_query *q, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_parca_forget(struct pgo_parca_source *s);

#endif
