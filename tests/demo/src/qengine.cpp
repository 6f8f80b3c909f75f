/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing segments, planning a query, and the scan. */
#include "qengine.hpp"

#include <cstring>

#include "qsort.hpp"

namespace quarry
{
namespace
{

int64_t field_of(const void *ctx, enum q_field f, size_t row)
{
	return static_cast<const Segment *>(ctx)->col[f]->at(row);
}

bool is_text(const q_node *n)
{
	return n->op == Q_OP_FIELD && n->value >= Q_HOST && n->value <= Q_USER;
}

/* Can any value of the zone satisfy "field relation constant"?  Other conditions: maybe. */
bool may_hold(const q_node *n, const Segment &s)
{
	if (n->op == Q_OP_AND)
		return may_hold(n->l, s) && may_hold(n->r, s);
	if (n->op == Q_OP_OR)
		return may_hold(n->l, s) || may_hold(n->r, s);
	if (n->op < Q_OP_EQ || n->op > Q_OP_GE || n->l->op != Q_OP_FIELD || n->r->op != Q_OP_CONST)
		return true;
	const Column &c = *s.col[n->l->value];
	int64_t v = n->r->value;
	switch (n->op) {
	case Q_OP_EQ:
		return v >= c.low && v <= c.high;
	case Q_OP_NE:
		return v != c.low || v != c.high;
	case Q_OP_LT:
		return c.low < v;
	case Q_OP_LE:
		return c.low <= v;
	case Q_OP_GT:
		return c.high > v;
	default:
		return c.high >= v;
	}
}

/* The cheapest and most selective condition first, measured on the first rows. */
void plan(Query &q, const Store &store, const q_dict *dict)
{
	struct Rated {
		double score;
		size_t at;
	};
	std::vector<Rated> rated;
	std::vector<Expr> ordered;

	if (store.segments().empty())
		return;
	const Segment &s = store.segments()[0];
	size_t n = s.n < 256 ? s.n : 256;
	for (size_t i = 0; i < q.where.size(); i++) {
		q_row row = s.row(dict);
		size_t hits = 0;

		for (row.row = 0; row.row < n; row.row++)
			hits += q.where[i].run(row) != 0;
		double drop = 1.0 - double(hits) / double(n + 1);
		rated.push_back({double(q_expr_cost(q.where[i].tree())) / drop, i});
	}
	sort(rated.data(), rated.size(), [](const Rated &a, const Rated &b) {
		return a.score != b.score ? a.score < b.score : a.at < b.at;
	});
	for (const Rated &r : rated)
		ordered.push_back(std::move(q.where[r.at]));
	q.where = std::move(ordered);
}

bool matches(const Query &q, const q_row &row)
{
	for (const Expr &e : q.where)
		if (!e.run(row))
			return false;
	return true;
}

uint64_t check(const Query &q, const q_row &row, bool matched)
{
	uint64_t wrong = 0;
	bool tree = true;

	for (const Expr &e : q.where)
		tree = tree && e.eval(row) != 0;
	wrong += tree != matched;
	for (const Expr &e : q.key)
		wrong += e.eval(row) != e.run(row);
	for (const Aggregate &a : q.agg)
		wrong += a.arg.eval(row) != a.arg.run(row);
	return wrong;
}

void scan(const Query &q, const Segment &s, const q_dict *dict, q_groups &groups, Result &r)
{
	q_row row = s.row(dict);
	int64_t key[Q_MAX_KEYS] = {}, value[Q_MAX_AGGS] = {};

	for (row.row = 0; row.row < s.n; row.row++) {
		bool hit = matches(q, row);

		r.rows_seen++;
		if (row.row % 64 == 0)
			r.disagreements += check(q, row, hit);
		if (!hit)
			continue;
		r.rows_matched++;
		for (size_t i = 0; i < q.key.size(); i++)
			key[i] = q.key[i].run(row);
		for (size_t i = 0; i < q.agg.size(); i++)
			value[i] = q.agg[i].arg.run(row);
		q_groups_add(&groups, key, value);
	}
}

int compare(q_span a, q_span b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++)
		if (a.p[i] != b.p[i])
			return (unsigned char)a.p[i] < (unsigned char)b.p[i] ? -1 : 1;
	return a.n < b.n ? -1 : a.n > b.n;
}

struct Ranked {
	int64_t value;
	const q_group *group;
};

/* The first aggregate, largest first; equal ones by their keys, texts as texts. */
struct ByValue {
	const Query *q;
	const q_dict *dict;

	bool operator()(const Ranked &a, const Ranked &b) const
	{
		if (a.value != b.value)
			return a.value > b.value;
		for (size_t i = 0; i < q->key.size(); i++) {
			int64_t x = a.group->key[i], y = b.group->key[i];
			if (x == y)
				continue;
			if (!is_text(q->key[i].tree()))
				return x < y;
			return compare(q_dict_text(dict, uint32_t(x)),
				       q_dict_text(dict, uint32_t(y))) < 0;
		}
		return false;
	}
};

std::string print(const Query &q, const q_dict *dict, const q_group &g)
{
	std::string line;

	for (size_t i = 0; i < q.key.size(); i++) {
		if (is_text(q.key[i].tree())) {
			q_span t = q_dict_text(dict, uint32_t(g.key[i]));
			line.append(t.p, t.n);
		} else {
			line += std::to_string(g.key[i]);
		}
		line += ' ';
	}
	for (size_t i = 0; i < q.agg.size(); i++)
		line += (i ? " " : "") + q.agg[i].name + "=" +
			std::to_string(q.agg[i].ops->result(&g.acc[i]));
	return line;
}

} // namespace

Expr::Expr(Node tree) : tree_(std::move(tree))
{
	q_code_emit(&code_, tree_.get());
	q_code_finish(&code_);
}

Expr::Expr(Expr &&o) noexcept : tree_(std::move(o.tree_)), code_(o.code_)
{
	o.code_ = {};
}

Expr &Expr::operator=(Expr &&o) noexcept
{
	std::swap(tree_, o.tree_);
	std::swap(code_, o.code_);
	return *this;
}

Expr::~Expr()
{
	q_code_fini(&code_);
}

q_row Segment::row(const q_dict *dict) const
{
	return {field_of, this, 0, dict};
}

void Store::add(const q_record &r)
{
	open_.push_back(r);
	if (open_.size() == kRows)
		seal();
}

void Store::seal()
{
	Segment s;
	std::vector<int64_t> values(open_.size());

	if (open_.empty())
		return;
	/* late records are few: most segments need hardly any move, some need many */
	sort(open_.data(), open_.size(), [](const q_record &a, const q_record &b) {
		for (size_t f = 0; f < Q_N_FIELDS; f++)
			if (a.v[f] != b.v[f])
				return a.v[f] < b.v[f];
		return false;
	});
	s.n = open_.size();
	for (size_t f = 0; f < Q_N_FIELDS; f++) {
		for (size_t i = 0; i < s.n; i++)
			values[i] = open_[i].v[f];
		s.col[f] = encode(values);
	}
	segment_.push_back(std::move(s));
	open_.clear();
}

Result run_query(Query &q, const Store &store, const q_dict *dict)
{
	Result r;
	q_groups groups;

	q_groups_init(&groups, unsigned(q.key.size()));
	groups.n_aggs = unsigned(q.agg.size());
	for (size_t i = 0; i < q.agg.size(); i++)
		groups.ops[i] = q.agg[i].ops;
	plan(q, store, dict);
	for (const Segment &s : store.segments()) {
		bool possible = true;

		for (const Expr &e : q.where)
			possible = possible && may_hold(e.tree(), s);
		if (possible)
			scan(q, s, dict, groups, r);
		else
			r.segments_skipped++;
	}

	TopK<Ranked, ByValue> best(q.top, ByValue{&q, dict});
	for (size_t i = 0; i < groups.n; i++)
		best.offer({q.agg[0].ops->result(&groups.group[i].acc[0]), &groups.group[i]});
	for (const Ranked &g : best.take())
		r.lines.push_back(print(q, dict, *g.group));
	q_groups_fini(&groups);
	return r;
}

} // namespace quarry
