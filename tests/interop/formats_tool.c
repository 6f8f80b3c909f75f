/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the interop tests of the formats: reads a profile of any format and writes another.
 *
 *	formats_tool IN FORMAT OUT [gcc=N] [md5] [compress] [rules] [file=FUNCTION:FILE]...
 *	formats_tool IN fdata OUT
 *
 * `rules` applies those of the consumer (gcc=N, or LLVM); `file` says in which file
 * a function is declared.  Exit 1 with a sentence on stderr.
 */
#include "convert/fdata.h"
#include "convert/format.h"
#include "pgo/core/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	char *data = NULL, *more;
	size_t room = 0, n = 1;

	if (f == NULL) {
		perror(path);
		exit(2);
	}
	for (*len = 0; n > 0; *len += n) {
		if (*len == room) {
			room = room > 0 ? room * 2 : 65536;
			more = realloc(data, room);
			if (more == NULL)
				exit(2);
			data = more;
		}
		n = fread(data + *len, 1, room - *len, f);
	}
	fclose(f);
	return data;
}

static int dump(const struct pgo_buf *out, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");

	if (f == NULL || fwrite(out->data, 1, out->len, f) != out->len || fclose(f) != 0) {
		perror(path);
		return 2;
	}
	return 0;
}

static int edges(
	const char *path, const void *data, size_t len, struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_fdata *f = pgo_fdata_read(path, data, len, err);
	int rc = f != NULL ? pgo_fdata_sort(f, err) : err->code;

	if (rc == 0)
		rc = pgo_fdata_write(f, out, err);
	pgo_fdata_free(f);
	return rc;
}

static struct pgo_fnprof *with_rules(struct pgo_fnprof *p, const struct pgo_format *to,
	unsigned gcc_release, struct pgo_err *err)
{
	struct pgo_fnprof *q =
		to == &pgo_format_gcc ? pgo_rules_gcc(p, gcc_release, err) : pgo_rules_llvm(p, err);

	pgo_fnprof_free(p);
	return q;
}

static void set_file_of(struct pgo_fn *f, uint32_t name, uint32_t file)
{
	if (f->name == name)
		f->file = file;
	for (uint32_t i = 0; i < f->n_calls; i++)
		set_file_of(f->calls[i].callee, name, file);
}

/* FUNCTION:FILE */
static void set_file(struct pgo_fnprof *p, const char *arg)
{
	const char *colon = strrchr(arg, ':');
	uint32_t name = pgo_strtab_add(&p->strs, arg, (size_t)(colon - arg));
	uint32_t file = pgo_strtab_puts(&p->strs, colon + 1);

	for (size_t i = 0; i < p->n_fns; i++)
		set_file_of(p->fns[i], name, file);
}

static int profile(
	char **argv, const void *data, size_t len, struct pgo_buf *out, struct pgo_err *err)
{
	const struct pgo_format *in = pgo_format_probe(data, len);
	const struct pgo_format *to = pgo_format_find(argv[2]);
	struct pgo_format_options o = {0};
	struct pgo_fnprof *p;
	bool rules = false;
	int rc;

	for (int i = 4; argv[i] != NULL; i++) {
		if (strncmp(argv[i], "gcc=", 4) == 0)
			o.gcc_release = (unsigned)strtoul(argv[i] + 4, NULL, 10);
		o.md5 |= strcmp(argv[i], "md5") == 0;
		o.compress |= strcmp(argv[i], "compress") == 0;
		rules |= strcmp(argv[i], "rules") == 0;
	}
	if (in == NULL || to == NULL)
		return pgo_err_set(err, PGO_EFORMAT, "unknown format");
	p = in->read(argv[1], data, len, err);
	for (int i = 4; p != NULL && argv[i] != NULL; i++)
		if (strncmp(argv[i], "file=", 5) == 0)
			set_file(p, argv[i] + 5);
	if (p != NULL && rules)
		p = with_rules(p, to, o.gcc_release, err);
	if (p == NULL)
		return err->code;
	pgo_fnprof_sort(p);
	rc = to->write(p, &o, out, err);
	pgo_fnprof_free(p);
	return rc;
}

int main(int argc, char **argv)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf out;
	size_t len;
	char *data;
	int rc;

	if (argc < 4)
		return 2;
	data = slurp(argv[1], &len);
	pgo_buf_init(&out, (size_t)4 << 30);
	rc = strcmp(argv[2], "fdata") == 0 ? edges(argv[1], data, len, &out, &err)
					   : profile(argv, data, len, &out, &err);
	if (rc == 0)
		rc = dump(&out, argv[3]);
	else
		fprintf(stderr, "formats_tool: %s\n", err.msg);
	pgo_buf_fini(&out);
	free(data);
	return rc == 0 ? 0 : 1;
}
