#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writes the sources of a large C++ program: many units of templates, each of types of its own, so that nothing is shared
# between them and the debug information is as large as that of a big service.  A twentieth of the code runs often, some of it seldom,
# most of it never.
#
#	tests/bench/gen_program.sh DIR UNITS
#
# Then compile DIR/*.cpp; `program ROUNDS` runs ROUNDS of the first unit, half as many of the second, and so on.
set -eu
dir=$1 units=$2
mkdir -p "$dir"

unit() {
	cat <<CPP
#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace unit_$1 {

struct key {
	std::uint32_t a;
	std::uint64_t b;
	bool operator<(const key &o) const { return a != o.a ? a < o.a : b < o.b; }
	bool operator==(const key &o) const { return a == o.a && b == o.b; }
};

struct key_hash {
	std::size_t operator()(const key &k) const { return (k.a ^ k.b) * 0x9e3779b97f4a7c15u >> 7; }
};

struct leaf { std::uint64_t v; };
struct pair { std::uint64_t l, r; };
struct text { std::string s; };
using node = std::variant<leaf, pair, text>;

class shape {
public:
	virtual ~shape() = default;
	virtual std::uint64_t area(std::uint64_t x) const = 0;
};

template <int N> class polygon : public shape {
public:
	std::uint64_t area(std::uint64_t x) const override
	{
		std::uint64_t sum = 0;

		for (int i = 0; i < N; i++)
			sum += (x >> (i & 31) & 1) != 0 ? x / (i + 1) : x ^ (std::uint64_t)N;
		return sum;
	}
};

template <int N> std::unique_ptr<shape> make_shape(unsigned which)
{
	if (which % (N + 1) == 0 || N == 0)
		return std::make_unique<polygon<N>>();
	if constexpr (N > 0)
		return make_shape<N - 1>(which / 2 + 1);
	return nullptr;
}

struct visitor {
	std::uint64_t operator()(const leaf &l) const { return l.v; }
	std::uint64_t operator()(const pair &p) const { return p.l * 3 + p.r; }
	std::uint64_t operator()(const text &t) const { return t.s.size() + (unsigned char)t.s[0]; }
};

static std::uint64_t next(std::uint64_t &x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static std::uint64_t sorting(std::uint64_t &x)
{
	std::vector<key> v;
	std::vector<std::tuple<std::uint32_t, key>> w;

	for (int i = 0; i < 64; i++)
		v.push_back({(std::uint32_t)next(x) % 16, next(x)});
	std::sort(v.begin(), v.end());
	std::stable_sort(v.begin(), v.end(), [](const key &p, const key &q) { return p.b < q.b; });
	for (const key &k : v)
		w.emplace_back(k.a, k);
	std::make_heap(w.begin(), w.end());
	std::sort_heap(w.begin(), w.end());
	return std::get<1>(w.front()).b + v.front().b;
}

static std::uint64_t lookups(std::uint64_t &x)
{
	std::map<key, node> tree;
	std::unordered_map<key, std::uint64_t, key_hash> table;
	std::uint64_t sum = 0;

	for (int i = 0; i < 48; i++) {
		std::uint64_t r = next(x);
		key k{(std::uint32_t)(r % 7), r % 29};

		table[k] += r & 7;
		if ((r & 3) == 0)
			tree[k] = leaf{r};
		else if ((r & 3) == 1)
			tree[k] = pair{r, r >> 8};
		else
			tree[k] = text{std::string(1 + r % 20, (char)('a' + r % 26))};
	}
	for (const auto &[k, n] : tree)
		sum += k.b + std::visit(visitor{}, n);
	for (const auto &[k, n] : table)
		sum ^= n << (k.a & 15);
	return sum;
}

static std::uint64_t shapes(std::uint64_t &x)
{
	std::list<std::unique_ptr<shape>> all;
	std::deque<std::function<std::uint64_t(std::uint64_t)>> calls;
	std::set<std::uint64_t> seen;
	std::uint64_t sum = 0;

	for (unsigned i = 0; i < 12; i++) {
		all.push_back(make_shape<12>((unsigned)next(x)));
		calls.push_back([s = all.back().get()](std::uint64_t y) { return s->area(y); });
	}
	for (const auto &f : calls)
		seen.insert(f(next(x)) % 97);
	return std::accumulate(seen.begin(), seen.end(), sum);
}

static std::uint64_t seldom(std::uint64_t &x)
{
	std::basic_ostringstream<char> out;
	std::basic_regex<char> e("(a+|b*)([0-9]+)x?", std::regex::extended);
	std::match_results<std::string::const_iterator> m;

	out << "aaa" << next(x) % 1000 << 'x';
	const std::string s = out.str();
	return std::regex_search(s, m, e) ? m.size() : 0;
}

std::uint64_t work(std::uint64_t seed, unsigned rounds)
{
	std::uint64_t x = seed | 1, sum = 0;

	for (unsigned i = 0; i < rounds; i++) {
		sum += sorting(x);
		sum ^= lookups(x);
		sum += shapes(x);
		if ((i & 1023) == 1023)
			sum += seldom(x);
	}
	return sum;
}
CPP
	# Code that never runs: a regular expression's machine over iterators of this unit.
	for n in 0 1 2; do
		cat <<CPP

struct never_$n {
	std::vector<std::map<std::string, std::vector<key>>> rows;
	std::deque<std::string> names;
};

std::size_t never_$n(never_$n &n, const std::string &s)
{
	struct tag {};
	std::map<std::uint32_t, std::tuple<key, std::string, node>> index;
	std::unordered_map<std::string, std::list<std::tuple<int, tag *, node>>> groups;
	std::vector<std::function<bool(const key &)>> tests;

	tests.push_back([&](const key &k) { return k.a > s.size() + $n; });
	for (auto &row : n.rows)
		for (auto &[name, keys] : row) {
			std::sort(keys.begin(), keys.end(), [&](const key &p, const key &q) { return p.b + s.size() < q.b; });
			keys.erase(std::remove_if(keys.begin(), keys.end(), [&](const key &k) { return tests[0](k); }), keys.end());
			groups[name].emplace_back($n, nullptr, leaf{keys.size()});
			index.emplace(keys.size(), std::make_tuple(keys.front(), name, pair{1, 2}));
			n.names.push_back(name + s);
		}
	return index.size() + groups.size() + std::partition(n.names.begin(), n.names.end(),
		[&](const std::string &t) { return t < s; }) - n.names.begin();
}
CPP
	done
	echo '}'
}

for ((i = 0; i < units; i++)); do
	unit "$i" >"$dir/unit_$i.cpp"
done
{
	echo '#include <cstdint>'
	echo '#include <cstdio>'
	echo '#include <cstdlib>'
	for ((i = 0; i < units; i++)); do
		echo "namespace unit_$i { std::uint64_t work(std::uint64_t, unsigned); }"
	done
	echo 'int main(int argc, char **argv)'
	echo '{'
	echo '	unsigned rounds = argc > 1 ? (unsigned)std::atoi(argv[1]) : 1000;'
	echo '	std::uint64_t sum = 0;'
	# The units that run are spread over the program.
	for ((i = 0; i < units; i++)); do
		if ((i % 5 == 0)); then
			echo "	sum += unit_$i::work($i, rounds >> $((i / 5 < 12 ? i / 5 : 12)));"
		fi
	done
	printf '%s\n' '	std::printf("%llu\n", (unsigned long long)sum);'
	echo '	return 0;'
	echo '}'
} >"$dir/main.cpp"
