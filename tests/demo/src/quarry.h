/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarry: a small log-analytics engine, and the program that the demo optimises.
 *
 * It reads log lines in three formats, interns their strings, keeps the records in encoded
 * columns, packs the raw text with an LZ coder, and answers queries such as
 *
 *	where status >= 500 and dur > 1000 group host, op agg count, sum(bytes) top 10
 *
 * It exists to be profiled, so it is written the way ordinary services are: many small functions,
 * tables of function pointers, virtual calls, an interpreter, and error handling in the middle of
 * the hot paths.  Nothing in it is tuned by hand with branch hints.  It checks its own results and
 * is deterministic: no hash seeds, no clock, no addresses in any output.
 *
 * This header is everything the C files share; qcolumn.hpp and qengine.hpp add the C++ half.
 */
#ifndef QUARRY_H
#define QUARRY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A piece of somebody else's text; not terminated. */
struct q_span {
	const char *p;
	size_t n;
};

/* What a record has.  The fields from Q_HOST to Q_USER hold ids of the dictionary. */
enum q_field {
	Q_TIME, /* milliseconds since 1970 */
	Q_HOST,
	Q_OP,
	Q_PATH,
	Q_ROUTE, /* the path with its variable parts replaced, derived by qroute.c */
	Q_USER,
	Q_STATUS,
	Q_BYTES,
	Q_DUR, /* microseconds */
	Q_N_FIELDS
};

struct q_record {
	int64_t v[Q_N_FIELDS];
};

/* Allocation that ends the program with a message instead of returning NULL. */
void *q_alloc(size_t size);
void *q_realloc(void *old, size_t size);

/* qdiag.c: what was wrong with the input, counted by kind; the first few are kept as text. */
enum q_problem {
	Q_BAD_TIME,
	Q_BAD_NUMBER,
	Q_BAD_RANGE,
	Q_BAD_ESCAPE,
	Q_BAD_QUOTE,
	Q_BAD_KEY,
	Q_MISSING,
	Q_TOO_LONG,
	Q_OUT_OF_ORDER,
	Q_N_PROBLEMS
};

struct q_diag {
	uint64_t count[Q_N_PROBLEMS];
	uint64_t line;
	unsigned n_kept;
	char kept[8][96];
};

void q_diag_note(struct q_diag *d, enum q_problem what, struct q_span where);
void q_diag_print(const struct q_diag *d, FILE *out);

/* qdict.c: strings to small ids, in order of first appearance.  Id 0 is the empty string. */
struct q_dict;
struct q_dict *q_dict_new(void);
void q_dict_free(struct q_dict *d);
uint32_t q_dict_intern(struct q_dict *d, struct q_span s);
struct q_span q_dict_text(const struct q_dict *d, uint32_t id);
uint32_t q_dict_size(const struct q_dict *d);

/* qtoken.c: one lexer for log lines and queries. */
enum q_tok_kind { Q_T_END, Q_T_WORD, Q_T_NUMBER, Q_T_STRING, Q_T_PUNCT, Q_T_BAD };

struct q_tok {
	enum q_tok_kind kind;
	struct q_span text; /* of a string: without its quotes, escapes resolved */
	int64_t number;
	int punct; /* the character; '<' + 256 for "<=", likewise '>', '=' and '!' */
};

struct q_lex {
	const char *p, *end;
	struct q_diag *diag;
	char buf[512]; /* the last string that had escapes */
};

void q_lex_init(struct q_lex *l, struct q_span text, struct q_diag *diag);
enum q_tok_kind q_lex_next(struct q_lex *l, struct q_tok *ret_tok);
struct q_span q_lex_word(struct q_lex *l); /* up to the next blank; empty at the end */

/* qroute.c: "/users/8841/cart" to "/users/:id/cart". */
struct q_router;
struct q_router *q_router_new(void);
void q_router_free(struct q_router *r);
size_t q_router_match(const struct q_router *r, struct q_span path, char *out, size_t out_size);

/* qparse.c: text to records. */
struct q_parser {
	struct q_dict *dict;
	struct q_router *router;
	struct q_diag diag;
	int64_t last_time;
	uint64_t n_lines, n_records, n_skipped;
	void (*sink)(void *ctx, const struct q_record *r);
	void *ctx;
};

void q_parse_text(struct q_parser *p, struct q_span text);

/* qlz.c: LZ77 with 16-bit distances.  A block is at most 64 KiB of text. */
enum { Q_LZ_BLOCK = 65536, Q_LZ_BOUND = Q_LZ_BLOCK + Q_LZ_BLOCK / 64 + 16 };
size_t q_lz_pack(const uint8_t *in, size_t n, uint8_t *out);
int q_lz_unpack(const uint8_t *in, size_t n, uint8_t *out, size_t out_n);

/* qexpr.c: expressions over the fields of a record, as a tree and as bytecode. */
enum q_op {
	Q_OP_CONST,
	Q_OP_FIELD,
	Q_OP_ADD,
	Q_OP_SUB,
	Q_OP_MUL,
	Q_OP_DIV,
	Q_OP_MOD,
	Q_OP_NEG,
	Q_OP_EQ,
	Q_OP_NE,
	Q_OP_LT,
	Q_OP_LE,
	Q_OP_GT,
	Q_OP_GE,
	Q_OP_NOT,
	Q_OP_BOOL,
	Q_OP_AND, /* in bytecode: if false, jump and keep the value */
	Q_OP_OR,
	Q_OP_IN,
	Q_OP_LEN,
	Q_OP_MATCH,
	Q_OP_BUCKET,
	Q_OP_MIN,
	Q_OP_MAX,
	Q_OP_END
};

struct q_node {
	enum q_op op;
	int64_t value; /* constant, field, or dictionary id of a pattern */
	struct q_node *l, *r;
};

struct q_insn {
	uint16_t op;
	uint16_t arg; /* values of Q_OP_IN */
	int32_t jump;
	int64_t value;
};

struct q_code {
	struct q_insn *insn;
	size_t n, cap;
};

/* Fields come from wherever the caller keeps them. */
struct q_row {
	int64_t (*field)(const void *ctx, enum q_field f, size_t row);
	const void *ctx;
	size_t row;
	const struct q_dict *dict;
};

int q_field_by_name(struct q_span name); /* -1: none */
/* Reads one expression from *tok on, leaves the token behind it there.  NULL: message in err. */
struct q_node *q_expr_parse(struct q_lex *l, struct q_tok *tok, struct q_dict *dict, char err[128]);
void q_expr_free(struct q_node *n);
unsigned q_expr_cost(const struct q_node *n);
int64_t q_expr_eval(const struct q_node *n, const struct q_row *row);
void q_code_emit(struct q_code *c, const struct q_node *n);
void q_code_finish(struct q_code *c);
void q_code_fini(struct q_code *c);

/* qvm.c: runs bytecode; the meaning of each operator is shared with the tree walker. */
int64_t q_vm_run(const struct q_code *c, const struct q_row *row);
int q_glob(struct q_span pattern, struct q_span text);
int64_t q_divide(int64_t a, int64_t b);
int64_t q_modulo(int64_t a, int64_t b);

/* qagg.c: grouping by up to Q_MAX_KEYS values, with up to Q_MAX_AGGS aggregates a group. */
enum { Q_MAX_KEYS = 3, Q_MAX_AGGS = 4 };

struct q_acc {
	int64_t a, b;
	uint16_t hist[16];
};

struct q_agg_ops {
	const char *name;
	void (*init)(struct q_acc *acc);
	void (*step)(struct q_acc *acc, int64_t v);
	int64_t (*result)(const struct q_acc *acc);
};

struct q_group {
	int64_t key[Q_MAX_KEYS];
	uint64_t hash;
	struct q_acc acc[Q_MAX_AGGS];
};

struct q_groups {
	struct q_group *group;
	uint32_t *slot;
	size_t n, cap, n_slots;
	unsigned n_keys, n_aggs;
	const struct q_agg_ops *ops[Q_MAX_AGGS];
};

const struct q_agg_ops *q_agg_by_name(struct q_span name);
void q_groups_init(struct q_groups *g, unsigned n_keys);
void q_groups_fini(struct q_groups *g);
void q_groups_add(struct q_groups *g, const int64_t *key, const int64_t *value);

/* qgen.c: log text from a seed; kind is "web", "api", "batch" or "mixed". 0, or -1: no such kind */
int q_generate(FILE *out, uint64_t seed, size_t size, const char *kind);

#ifdef __cplusplus
}
#endif
#endif
