/* SPDX-License-Identifier: Apache-2.0 */
/* The C++ half: the store of segments, the query and its plan. */
#ifndef QENGINE_HPP
#define QENGINE_HPP

#include <memory>
#include <string>
#include <vector>

#include "qcolumn.hpp"
#include "quarry.h"

namespace quarry
{

struct NodeFree {
	void operator()(q_node *n) const
	{
		q_expr_free(n);
	}
};
using Node = std::unique_ptr<q_node, NodeFree>;

/* A compiled expression: the tree, and the bytecode made from it. */
class Expr
{
      public:
	explicit Expr(Node tree);
	Expr(Expr &&o) noexcept;
	Expr &operator=(Expr &&o) noexcept;
	~Expr();

	int64_t run(const q_row &row) const
	{
		return q_vm_run(&code_, &row);
	}
	int64_t eval(const q_row &row) const
	{
		return q_expr_eval(tree_.get(), &row);
	}
	const q_node *tree() const
	{
		return tree_.get();
	}

      private:
	Node tree_;
	q_code code_ = {};
};

struct Segment {
	size_t n;
	std::unique_ptr<Column> col[Q_N_FIELDS];

	q_row row(const q_dict *dict) const;
};

class Store
{
      public:
	void add(const q_record &r);
	void seal(); /* encodes what was added since the last full segment */

	const std::vector<Segment> &segments() const
	{
		return segment_;
	}

      private:
	static constexpr size_t kRows = 2048;
	std::vector<q_record> open_;
	std::vector<Segment> segment_;
};

struct Aggregate {
	const q_agg_ops *ops;
	Expr arg;
	std::string name;
};

/* [where COND] [group KEY, ...] agg NAME(EXPR), ... [top N] */
struct Query {
	std::vector<Expr> where; /* all must hold; the planner chooses the order */
	std::vector<Expr> key;
	std::vector<Aggregate> agg;
	size_t top = 20;

	static bool parse(const char *text, q_dict *dict, Query &ret_q, std::string &ret_error);
};

struct Result {
	std::vector<std::string> lines;
	uint64_t rows_seen = 0, rows_matched = 0, segments_skipped = 0;
	uint64_t disagreements = 0; /* interpreter against tree walker: must stay 0 */
};

Result run_query(Query &q, const Store &store, const q_dict *dict);

} // namespace quarry
#endif
