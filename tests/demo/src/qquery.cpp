/* SPDX-License-Identifier: Apache-2.0 */
/* The query language around the expressions. */
#include <cstring>

#include "qengine.hpp"

namespace quarry
{
namespace
{

/* "a and b and c" as three conditions, so that the planner can order them. */
void split(Node n, std::vector<Expr> &out)
{
	if (n->op != Q_OP_AND) {
		out.emplace_back(std::move(n));
		return;
	}
	Node l(n->l), r(n->r);
	n->l = n->r = nullptr;
	split(std::move(l), out);
	split(std::move(r), out);
}

class Reader
{
      public:
	Reader(const char *text, q_dict *dict, std::string &error) : dict_(dict), error_(error)
	{
		q_lex_init(&lex_, {text, strlen(text)}, &diag_);
		next();
	}

	bool query(Query &q)
	{
		if (word("where")) {
			Node n = expr();
			if (!n)
				return false;
			split(std::move(n), q.where);
		}
		if (word("group"))
			do {
				Node n = expr();
				if (!n)
					return false;
				if (q.key.size() == Q_MAX_KEYS)
					return fail("too many keys");
				q.key.emplace_back(std::move(n));
			} while (comma());
		if (!word("agg"))
			return fail("expected 'agg'");
		do {
			if (!aggregate(q))
				return false;
		} while (comma());
		if (word("top")) {
			if (tok_.kind != Q_T_NUMBER || tok_.number < 1 || tok_.number > 1000)
				return fail("'top' needs a number up to 1000");
			q.top = size_t(tok_.number);
			next();
		}
		return tok_.kind == Q_T_END || fail("text after the end of the query");
	}

      private:
	void next()
	{
		q_lex_next(&lex_, &tok_);
	}

	bool fail(const char *what)
	{
		if (error_.empty())
			error_ = what;
		return false;
	}

	bool word(const char *w)
	{
		if (tok_.kind != Q_T_WORD || tok_.text.n != strlen(w) ||
			memcmp(tok_.text.p, w, tok_.text.n) != 0)
			return false;
		next();
		return true;
	}

	bool punct(int c)
	{
		if (tok_.kind != Q_T_PUNCT || tok_.punct != c)
			return false;
		next();
		return true;
	}

	bool comma()
	{
		return punct(',');
	}

	Node expr()
	{
		char err[128] = "";
		Node n(q_expr_parse(&lex_, &tok_, dict_, err));

		if (!n)
			fail(err);
		return n;
	}

	bool aggregate(Query &q)
	{
		const q_agg_ops *ops = tok_.kind == Q_T_WORD ? q_agg_by_name(tok_.text) : nullptr;
		Node arg;

		if (!ops)
			return fail("expected the name of an aggregate");
		if (q.agg.size() == Q_MAX_AGGS)
			return fail("too many aggregates");
		next();
		if (punct('(')) {
			arg = expr();
			if (!arg || !punct(')'))
				return fail("expected )");
		} else {
			q_lex one;
			q_tok t;
			char err[128] = "";

			q_lex_init(&one, {"1", 1}, &diag_);
			q_lex_next(&one, &t);
			arg = Node(q_expr_parse(&one, &t, dict_, err));
		}
		q.agg.push_back({ops, Expr(std::move(arg)), ops->name});
		return true;
	}

	q_lex lex_;
	q_tok tok_;
	q_diag diag_ = {};
	q_dict *dict_;
	std::string &error_;
};

} // namespace

bool Query::parse(const char *text, q_dict *dict, Query &q, std::string &error)
{
	return Reader(text, dict, error).query(q);
}

} // namespace quarry
