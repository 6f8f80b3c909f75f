/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: recursive descent into a tree, constants folded on the way, then bytecode with
 * short-circuit jumps.  The tree can be evaluated as well; the engine uses that to check the
 * interpreter on every 64th row.
 */
#include <stdlib.h>
#include <string.h>

#include "quarry.h"

static const char *const field_name[Q_N_FIELDS] = {
	"time",
	"host",
	"op",
	"path",
	"route",
	"user",
	"status",
	"bytes",
	"dur",
};

struct parse {
	struct q_lex *l;
	struct q_tok *t;
	struct q_dict *dict;
	char *err;
	int depth;
};

static int is(struct q_span s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

int q_field_by_name(struct q_span name)
{
	for (int f = 0; f < Q_N_FIELDS; f++)
		if (is(name, field_name[f]))
			return f;
	return -1;
}

void q_expr_free(struct q_node *n)
{
	if (!n)
		return;
	q_expr_free(n->l);
	q_expr_free(n->r);
	free(n);
}

static struct q_node *node(enum q_op op, int64_t value, struct q_node *l, struct q_node *r)
{
	struct q_node *n = q_alloc(sizeof(*n));

	*n = (struct q_node){.op = op, .value = value, .l = l, .r = r};
	return n;
}

static struct q_node *fail(struct parse *p, const char *what, struct q_node *l, struct q_node *r)
{
	q_expr_free(l);
	q_expr_free(r);
	if (!p->err[0])
		snprintf(p->err, 128, "expected %s before '%.*s'", what,
			p->l->end - p->l->p > 30 ? 30 : (int)(p->l->end - p->l->p), p->l->p);
	return NULL;
}

static int64_t apply(const struct q_node *n, int64_t l, int64_t r, const struct q_row *row)
{
	switch (n->op) {
	case Q_OP_CONST:
		return n->value;
	case Q_OP_FIELD:
		return row->field(row->ctx, (enum q_field)n->value, row->row);
	case Q_OP_ADD:
		return (int64_t)((uint64_t)l + (uint64_t)r);
	case Q_OP_SUB:
		return (int64_t)((uint64_t)l - (uint64_t)r);
	case Q_OP_MUL:
		return (int64_t)((uint64_t)l * (uint64_t)r);
	case Q_OP_DIV:
		return q_divide(l, r);
	case Q_OP_MOD:
		return q_modulo(l, r);
	case Q_OP_NEG:
		return (int64_t)(0 - (uint64_t)l);
	case Q_OP_EQ:
		return l == r;
	case Q_OP_NE:
		return l != r;
	case Q_OP_LT:
		return l < r;
	case Q_OP_LE:
		return l <= r;
	case Q_OP_GT:
		return l > r;
	case Q_OP_GE:
		return l >= r;
	case Q_OP_NOT:
		return !l;
	case Q_OP_BOOL:
		return l != 0;
	case Q_OP_LEN:
		return (int64_t)q_dict_text(row->dict, (uint32_t)l).n;
	case Q_OP_MATCH:
		return q_glob(q_dict_text(row->dict, (uint32_t)n->value),
			q_dict_text(row->dict, (uint32_t)l));
	case Q_OP_BUCKET:
		return l - q_modulo(l, n->value);
	case Q_OP_MIN:
		return l < r ? l : r;
	case Q_OP_MAX:
		return l > r ? l : r;
	default:
		return 0;
	}
}

/* Operators of constants are constants; AND and OR keep their left side's meaning. */
static struct q_node *fold(struct q_node *n)
{
	int plain = n->op >= Q_OP_ADD && n->op <= Q_OP_BOOL;

	if (plain && n->l->op == Q_OP_CONST && (!n->r || n->r->op == Q_OP_CONST)) {
		int64_t v = apply(n, n->l->value, n->r ? n->r->value : 0, NULL);
		q_expr_free(n->l);
		q_expr_free(n->r);
		*n = (struct q_node){.op = Q_OP_CONST, .value = v};
	}
	return n;
}

static struct q_node *parse_or(struct parse *p);

static int punct(struct parse *p, int c)
{
	if (p->t->kind != Q_T_PUNCT || p->t->punct != c)
		return 0;
	q_lex_next(p->l, p->t);
	return 1;
}

static int word(struct parse *p, const char *w)
{
	if (p->t->kind != Q_T_WORD || !is(p->t->text, w))
		return 0;
	q_lex_next(p->l, p->t);
	return 1;
}

/* len(x), match(x, "glob"), bucket(x, width), min(x, y), max(x, y) */
static struct q_node *parse_call(struct parse *p, enum q_op op)
{
	struct q_node *a, *b = NULL;
	int64_t value = 0;

	if (!punct(p, '('))
		return fail(p, "(", NULL, NULL);
	a = parse_or(p);
	if (!a)
		return NULL;
	if (op != Q_OP_LEN) {
		if (!punct(p, ','))
			return fail(p, ",", a, NULL);
		b = parse_or(p);
		if (!b)
			return fail(p, "value", a, NULL);
		if (op == Q_OP_MATCH || op == Q_OP_BUCKET) {
			value = b->value;
			if (b->op != Q_OP_CONST || value <= 0)
				return fail(p, "constant", a, b);
			q_expr_free(b);
			b = NULL;
		}
	}
	if (!punct(p, ')'))
		return fail(p, ")", a, b);
	return node(op, value, a, b);
}

static struct q_node *parse_atom(struct parse *p)
{
	static const struct {
		const char *name;
		enum q_op op;
	} calls[] = {
		{"len", Q_OP_LEN},
		{"match", Q_OP_MATCH},
		{"bucket", Q_OP_BUCKET},
		{"min", Q_OP_MIN},
		{"max", Q_OP_MAX},
	};
	struct q_node *n;
	int f;

	if (punct(p, '(')) {
		n = parse_or(p);
		if (n && !punct(p, ')'))
			return fail(p, ")", n, NULL);
		return n;
	}
	if (p->t->kind == Q_T_NUMBER) {
		n = node(Q_OP_CONST, p->t->number, NULL, NULL);
		q_lex_next(p->l, p->t);
		return n;
	}
	if (p->t->kind == Q_T_STRING) {
		n = node(Q_OP_CONST, q_dict_intern(p->dict, p->t->text), NULL, NULL);
		q_lex_next(p->l, p->t);
		return n;
	}
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (word(p, calls[i].name))
			return parse_call(p, calls[i].op);
	f = p->t->kind == Q_T_WORD ? q_field_by_name(p->t->text) : -1;
	if (f < 0)
		return fail(p, "a field, a number or a string", NULL, NULL);
	q_lex_next(p->l, p->t);
	return node(Q_OP_FIELD, f, NULL, NULL);
}

static struct q_node *parse_unary(struct parse *p)
{
	struct q_node *n;
	enum q_op op;

	if (p->depth > 60)
		return fail(p, "fewer brackets", NULL, NULL);
	if (punct(p, '-'))
		op = Q_OP_NEG;
	else if (word(p, "not"))
		op = Q_OP_NOT;
	else
		return parse_atom(p);
	p->depth++;
	n = parse_unary(p);
	p->depth--;
	return n ? fold(node(op, 0, n, NULL)) : NULL;
}

/* x in (1, 2, 3): a list hangs on the right, each value's next one on its left */
static struct q_node *parse_in(struct parse *p, struct q_node *l)
{
	struct q_node *n = node(Q_OP_IN, 0, l, NULL), **tail = &n->r;

	if (!punct(p, '('))
		return fail(p, "(", n, NULL);
	do {
		struct q_node *v = parse_unary(p);
		if (!v || v->op != Q_OP_CONST || n->value == 30)
			return fail(p, "a short list of constants", n, v);
		*tail = v;
		tail = &v->l;
		n->value++;
	} while (punct(p, ','));
	if (!punct(p, ')'))
		return fail(p, ")", n, NULL);
	return n;
}

struct level {
	int punct;
	enum q_op op;
};

static const struct level products[] = {{'*', Q_OP_MUL}, {'/', Q_OP_DIV}, {'%', Q_OP_MOD}, {0, 0}};
static const struct level sums[] = {{'+', Q_OP_ADD}, {'-', Q_OP_SUB}, {0, 0}};
static const struct level relations[] = {{'=' + 256, Q_OP_EQ}, {'!' + 256, Q_OP_NE}, {'<', Q_OP_LT},
	{'<' + 256, Q_OP_LE}, {'>', Q_OP_GT}, {'>' + 256, Q_OP_GE}, {0, 0}};
static const struct level *const levels[] = {relations, sums, products};

static struct q_node *parse_level(struct parse *p, unsigned level)
{
	struct q_node *n, *r;
	const struct level *at;

	n = level == 3 ? parse_unary(p) : parse_level(p, level + 1);
	while (n && level < 3) {
		if (level == 0 && word(p, "in")) {
			n = parse_in(p, n);
			continue;
		}
		for (at = levels[level]; at->punct; at++)
			if (p->t->kind == Q_T_PUNCT && p->t->punct == at->punct)
				break;
		/* '/' may begin a word for the lexer; queries write it with blanks around */
		if (!at->punct && level == 2 && p->t->kind == Q_T_WORD && is(p->t->text, "/"))
			at = &products[1];
		if (!at->punct)
			break;
		q_lex_next(p->l, p->t);
		r = parse_level(p, level + 1);
		if (!r)
			return fail(p, "value", n, NULL);
		n = fold(node(at->op, 0, n, r));
	}
	return n;
}

static struct q_node *parse_and(struct parse *p)
{
	struct q_node *n = parse_level(p, 0);

	while (n && word(p, "and")) {
		struct q_node *r = parse_level(p, 0);
		if (!r)
			return fail(p, "condition", n, NULL);
		n = node(Q_OP_AND, 0, n, r);
	}
	return n;
}

static struct q_node *parse_or(struct parse *p)
{
	struct q_node *n;

	if (p->depth++ > 60)
		return fail(p, "fewer brackets", NULL, NULL);
	n = parse_and(p);
	while (n && word(p, "or")) {
		struct q_node *r = parse_and(p);
		if (!r)
			return fail(p, "condition", n, NULL);
		n = node(Q_OP_OR, 0, n, r);
	}
	p->depth--;
	return n;
}

struct q_node *q_expr_parse(struct q_lex *l, struct q_tok *tok, struct q_dict *dict, char err[128])
{
	struct parse p = {.l = l, .t = tok, .dict = dict, .err = err};

	return parse_or(&p);
}

/* Rough instruction counts, for the planner. */
unsigned q_expr_cost(const struct q_node *n)
{
	unsigned own;

	if (!n)
		return 0;
	switch (n->op) {
	case Q_OP_CONST:
		return 1;
	case Q_OP_FIELD:
		own = 4;
		break;
	case Q_OP_DIV:
	case Q_OP_MOD:
	case Q_OP_BUCKET:
		own = 20;
		break;
	case Q_OP_MATCH:
		own = 150;
		break;
	default:
		own = 2;
	}
	return own + q_expr_cost(n->l) + q_expr_cost(n->r);
}

int64_t q_expr_eval(const struct q_node *n, const struct q_row *row)
{
	int64_t l = n->l ? q_expr_eval(n->l, row) : 0;

	switch (n->op) {
	case Q_OP_AND:
		return l ? q_expr_eval(n->r, row) != 0 : 0;
	case Q_OP_OR:
		return l ? 1 : q_expr_eval(n->r, row) != 0;
	case Q_OP_IN:
		for (const struct q_node *v = n->r; v; v = v->l)
			if (v->value == l)
				return 1;
		return 0;
	default:
		return apply(n, l, n->r ? q_expr_eval(n->r, row) : 0, row);
	}
}

static size_t put(struct q_code *c, enum q_op op, int64_t value)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 16;
		c->insn = q_realloc(c->insn, c->cap * sizeof(*c->insn));
	}
	c->insn[c->n] = (struct q_insn){.op = (uint16_t)op, .value = value};
	return c->n++;
}

void q_code_emit(struct q_code *c, const struct q_node *n)
{
	size_t at;

	if (n->l)
		q_code_emit(c, n->l);
	switch (n->op) {
	case Q_OP_AND:
	case Q_OP_OR:
		put(c, Q_OP_BOOL, 0);
		at = put(c, n->op, 0);
		q_code_emit(c, n->r);
		put(c, Q_OP_BOOL, 0);
		c->insn[at].jump = (int32_t)c->n;
		return;
	case Q_OP_IN:
		at = put(c, Q_OP_IN, 0);
		c->insn[at].arg = (uint16_t)n->value;
		for (const struct q_node *v = n->r; v; v = v->l)
			put(c, Q_OP_CONST, v->value);
		return;
	default:
		if (n->r)
			q_code_emit(c, n->r);
		put(c, n->op, n->value);
	}
}

void q_code_finish(struct q_code *c)
{
	put(c, Q_OP_END, 0);
}

void q_code_fini(struct q_code *c)
{
	free(c->insn);
	*c = (struct q_code){0};
}
