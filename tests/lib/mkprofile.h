/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles from short text, and text from profiles, so that a test reads as its data.
 *
 *	type cpu/nanoseconds                     sample types, in order; none given = samples/count
 *	mapping 1000 5000 200 /bin/app abcd      START LIMIT OFFSET (hex) FILE [BUILD-ID [flags]]
 *	period 10000 cpu/cycles                  time NS    duration NS    comment TEXT
 *	default cpu                              doc URL    drop REGEX     keep REGEX
 *	function parse parse.c 40                file and start line of a function (before its use)
 *	main;parse;hash 12                       a sample: frames root first, then the values
 *	main:3;0x1234;2@0x99 1 2 host=web bytes:16:kb
 *
 * Flags are letters: f functions, n file names, l line numbers, i inline frames; `-` stands for an
 * empty FILE or BUILD-ID.  Empty lines and lines that begin with # are skipped.
 *
 * A frame is `name`, `name:line`, `0xADDR`, `0xADDR=name:line`, or `0xADDR=inlined:5<outer:7`; with
 * `N@` in front it lies in mapping N (from 1 on; 0@ in none).  Without it, a frame with an address
 * lies in the first mapping that holds it, else in the first of all; one without an address in
 * none.  Names must hold none of the marks of the syntax (blank ; @ = < :), or put \ before them.
 * Equal frames are one location; `-` alone is a sample without frames.  After the values: string
 * labels key=text, numeric ones key:number or key:number:unit.
 */
#ifndef PGO_TESTS_MKPROFILE_H
#define PGO_TESTS_MKPROFILE_H

#include "pgo/core/profile.h"

/* Gives a profile (pgo_profile_free); text that cannot be understood fails the test. */
struct pgo_profile *mkprofile(const char *text);
/* A reader over it that owns it. */
struct pgo_reader *mkreader(const char *text);
/* The profile's samples in the same syntax, in the order of the reader (whose samples are used up);
 * free().  Mappings are named as N@ where a location has one. */
char *profile_lines(struct pgo_reader *r);
/* The same, lines sorted: for comparisons that do not care for order. */
char *profile_sorted_lines(struct pgo_reader *r);

#endif
