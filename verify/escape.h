/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that come from elsewhere, inside documents of ours.
 *
 * A function's name is whatever a symbol table says: C++ templates, and in hostile files anything.
 * In every document two things are done to it: what would not be seen, or would move what is seen
 * (control characters, terminal escapes, marks that turn the direction of text, characters that
 * XML cannot hold, bytes that are not UTF-8) becomes visible as \x1b or \u202e; and what the
 * document's own syntax means something by is escaped.
 *
 *	text      nothing else
 *	HTML, XML & < > " ' as references: right between tags and inside quoted attributes
 *	Markdown  < > & as references, what else starts something in GitHub's or GitLab's dialect
 *	          behind a backslash, or as a reference where dialects differ about backslashes:
 *	          right in paragraphs and in cells of tables
 */
#ifndef PGO_VERIFY_ESCAPE_H
#define PGO_VERIFY_ESCAPE_H

#include "pgo/core/buf.h"

enum pgo_escape { PGO_ESCAPE_TEXT, PGO_ESCAPE_HTML, PGO_ESCAPE_XML, PGO_ESCAPE_MARKDOWN };

/* NULL adds nothing. */
void pgo_escape_add(struct pgo_buf *out, enum pgo_escape kind, const char *s);
/*
 * JSON for the inside of a <script> element: nothing in it can end the element or start a comment
 * (< > & and the two line separators become \u003c and so on, which JSON allows inside strings,
 * where alone they are).
 */
void pgo_escape_island(struct pgo_buf *out, const char *json, size_t len);

#endif
