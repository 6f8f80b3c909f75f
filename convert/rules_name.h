/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names as consumers look them up.  All work on (text, length) and give a shorter length or say
 * where to change a byte; none allocates.
 */
#ifndef PGO_CONVERT_RULES_NAME_H
#define PGO_CONVERT_RULES_NAME_H

#include <stddef.h>

/* Length up to the first dot (a leading dot does not count). */
size_t pgo_name_cut_dot(const char *s, size_t len);
/*
 * Length without trailing clone suffixes: .isra.N .constprop.N .part.N .lto_priv.N .cold.N, and
 * .cold, .isra and the like without a number; repeatedly.
 */
size_t pgo_name_cut_clones(const char *s, size_t len);
/*
 * Length without anything that a compiler appends, wherever it begins: what a function is called by
 * people, whichever build it is from.  Dots of other languages' names stay.
 */
size_t pgo_name_cut_tails(const char *s, size_t len);
/*
 * Length as clang looks the name up: up to the first dot, except that the ".__uniq.DIGITS" of
 * -funique-internal-linkage-names stays.
 */
size_t pgo_name_cut_llvm(const char *s, size_t len);
/*
 * Offset of the digit of a C4 or D4, the constructor or destructor that only DWARF knows, or 0.
 * Its body is called C2 or D2.  Only the function itself counts, not its scopes or arguments: a
 * local of a constructor is really mangled with C4.
 */
size_t pgo_name_unified_structor(const char *s, size_t len);

/*
 * Whose name is it?  Rust: "_R..." (v0), or a nested name that ends in 17h and sixteen hexadecimal
 * digits.  Go: a package path, a dot, and what is in the package ("main.work", "net/http.(*conn).serve").
 * Everything else is taken for C or C++.
 */
enum pgo_name_language { PGO_NAME_C, PGO_NAME_RUST, PGO_NAME_GO };
enum pgo_name_language pgo_name_language(const char *s, size_t len);

#endif
