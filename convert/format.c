/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/format.h"

#include <string.h>

/* Most certain first: the text format has no magic. */
const struct pgo_format *const pgo_formats[] = {
	&pgo_format_gcc,
	&pgo_format_llvm_extbinary,
	&pgo_format_llvm_binary,
	&pgo_format_llvm_text,
	NULL,
};

const struct pgo_format *pgo_format_find(const char *name)
{
	for (size_t i = 0; pgo_formats[i] != NULL; i++)
		if (strcmp(pgo_formats[i]->name, name) == 0)
			return pgo_formats[i];
	return NULL;
}

const struct pgo_format *pgo_format_probe(const void *head, size_t len)
{
	for (size_t i = 0; pgo_formats[i] != NULL; i++)
		if (pgo_formats[i]->probe(head, len))
			return pgo_formats[i];
	return NULL;
}
