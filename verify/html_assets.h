/* SPDX-License-Identifier: Apache-2.0 */
/* verify/html/ inside the program: made by the Makefile, each with its length. */
#ifndef PGO_VERIFY_HTML_ASSETS_H
#define PGO_VERIFY_HTML_ASSETS_H

#include <stddef.h>

extern const char pgo_html_css[], pgo_html_js[];
extern const size_t pgo_html_css_len, pgo_html_js_len;

#endif
