/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter: a stack machine in one switch.  The depth is bounded by the parser's. */
#include "quarry.h"

int64_t q_divide(int64_t a, int64_t b)
{
	if (!b) /* a query over logs should not stop for one empty record */
		return 0;
	if (a == INT64_MIN && b == -1)
		return INT64_MAX;
	return a / b;
}

int64_t q_modulo(int64_t a, int64_t b)
{
	if (!b || b == -1)
		return 0;
	return a % b;
}

static int any_of(const char *set, const char *end, char c)
{
	int negated = set < end && *set == '^';

	for (const char *p = set + negated; p < end; p++) {
		if (p + 2 < end && p[1] == '-') {
			if (c >= p[0] && c <= p[2])
				return !negated;
			p += 2;
		} else if (*p == c) {
			return !negated;
		}
	}
	return negated;
}

static const char *closing(const char *p, const char *end)
{
	while (p < end && *p != ']')
		p++;
	return p;
}

static int glob(const char *p, const char *pe, const char *t, const char *te)
{
	while (p < pe) {
		switch (*p) {
		case '*':
			while (p < pe && *p == '*')
				p++;
			if (p == pe)
				return 1;
			for (; t < te; t++)
				if ((*p == *t || *p == '?' || *p == '[') && glob(p, pe, t, te))
					return 1;
			return 0;
		case '?':
			if (t == te)
				return 0;
			break;
		case '[': {
			const char *close = closing(p + 1, pe);
			if (t == te || !any_of(p + 1, close, *t))
				return 0;
			p = close;
			if (p == pe)
				return t + 1 == te;
			break;
		}
		default:
			if (t == te || *p != *t)
				return 0;
		}
		p++;
		t++;
	}
	return t == te;
}

int q_glob(struct q_span pattern, struct q_span text)
{
	return glob(pattern.p, pattern.p + pattern.n, text.p, text.p + text.n);
}

int64_t q_vm_run(const struct q_code *c, const struct q_row *row)
{
	int64_t stack[256], *top = stack;
	const struct q_insn *i = c->insn;

	*top = 0;
	for (;; i++) {
		switch ((enum q_op)i->op) {
		case Q_OP_CONST:
			*++top = i->value;
			break;
		case Q_OP_FIELD:
			*++top = row->field(row->ctx, (enum q_field)i->value, row->row);
			break;
		case Q_OP_ADD:
			top--;
			*top = (int64_t)((uint64_t)top[0] + (uint64_t)top[1]);
			break;
		case Q_OP_SUB:
			top--;
			*top = (int64_t)((uint64_t)top[0] - (uint64_t)top[1]);
			break;
		case Q_OP_MUL:
			top--;
			*top = (int64_t)((uint64_t)top[0] * (uint64_t)top[1]);
			break;
		case Q_OP_DIV:
			top--;
			*top = q_divide(top[0], top[1]);
			break;
		case Q_OP_MOD:
			top--;
			*top = q_modulo(top[0], top[1]);
			break;
		case Q_OP_NEG:
			*top = (int64_t)(0 - (uint64_t)*top);
			break;
		case Q_OP_EQ:
			top--;
			*top = top[0] == top[1];
			break;
		case Q_OP_NE:
			top--;
			*top = top[0] != top[1];
			break;
		case Q_OP_LT:
			top--;
			*top = top[0] < top[1];
			break;
		case Q_OP_LE:
			top--;
			*top = top[0] <= top[1];
			break;
		case Q_OP_GT:
			top--;
			*top = top[0] > top[1];
			break;
		case Q_OP_GE:
			top--;
			*top = top[0] >= top[1];
			break;
		case Q_OP_NOT:
			*top = !*top;
			break;
		case Q_OP_BOOL:
			*top = *top != 0;
			break;
		case Q_OP_AND:
			if (!*top) {
				i = c->insn + i->jump - 1;
				break;
			}
			top--;
			break;
		case Q_OP_OR:
			if (*top) {
				i = c->insn + i->jump - 1;
				break;
			}
			top--;
			break;
		case Q_OP_IN: {
			const struct q_insn *end = i + i->arg;
			int found = 0;
			for (const struct q_insn *v = i + 1; v <= end && !found; v++)
				found = v->value == *top;
			*top = found;
			i = end;
			break;
		}
		case Q_OP_LEN:
			*top = (int64_t)q_dict_text(row->dict, (uint32_t)*top).n;
			break;
		case Q_OP_MATCH:
			*top = q_glob(q_dict_text(row->dict, (uint32_t)i->value),
				q_dict_text(row->dict, (uint32_t)*top));
			break;
		case Q_OP_BUCKET:
			*top -= q_modulo(*top, i->value);
			break;
		case Q_OP_MIN:
			top--;
			*top = top[0] < top[1] ? top[0] : top[1];
			break;
		case Q_OP_MAX:
			top--;
			*top = top[0] > top[1] ? top[0] : top[1];
			break;
		case Q_OP_END:
			return *top;
		}
	}
}
