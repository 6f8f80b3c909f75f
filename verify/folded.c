/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/folded.h"

#include "pgo/core/vec.h"

static void put_name(struct pgo_buf *out, const char *name)
{
	for (; *name != '\0'; name++)
		pgo_buf_putc(out, *name == ';'                     ? ':'
				  : *name == '\n' || *name == '\r' ? ' '
								   : *name);
}

static unsigned long long whole(double share)
{
	double v = share * PGO_FOLDED_WHOLE + 0.5;

	return v < 1 ? 0 : v > 1e18 ? 1000000000000000000u : (unsigned long long)v;
}

void pgo_folded_write(const struct pgo_calltree *t, struct pgo_buf *out)
{
	struct pgo_buf path;
	size_t room = 0, n = 0;
	struct {
		size_t end, len;
	} *open = NULL; /* nodes above: last one below, path without it */

	pgo_buf_init(&path, (size_t)1 << 30);
	for (size_t i = 1; i < t->n_nodes && !out->failed; i++) {
		const struct pgo_calltree_node *node = &t->nodes[i];
		unsigned long long before = whole(node->self_before);
		unsigned long long after = whole(node->self_after);

		while (n > 0 && i > open[n - 1].end)
			path.len = open[--n].len;
		if (PGO_VEC_PUSH(open, n, room) == NULL) {
			out->failed = true;
			break;
		}
		open[n - 1].end = i + node->below;
		open[n - 1].len = path.len;
		if (path.len != 0)
			pgo_buf_putc(&path, ';');
		put_name(&path, pgo_strtab_get(&t->strs, node->name));
		if (path.failed)
			out->failed = true;
		if (before == 0 && after == 0)
			continue;
		pgo_buf_add(out, path.data, path.len);
		pgo_buf_printf(out, " %llu %llu\n", before, after);
	}
	pgo_free(open);
	pgo_buf_fini(&path);
}
