/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns: one field of a segment's records, in whichever encoding takes the least room.
 * A reader asks through the virtual at(), mostly row after row.
 */
#ifndef QCOLUMN_HPP
#define QCOLUMN_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "qsort.hpp"

namespace quarry
{

class Column
{
      public:
	virtual ~Column() = default;
	virtual int64_t at(size_t row) const = 0;
	virtual size_t bytes() const = 0;
	virtual const char *name() const = 0;

	int64_t low = 0, high = 0; /* the zone: every value lies in [low, high] */
};

inline unsigned width(uint64_t v)
{
	unsigned n = 0;

	while (v) {
		v >>= 1;
		n++;
	}
	return n;
}

/* Unsigned numbers of one width, back to back in 64-bit words. */
class Bits
{
      public:
	Bits(unsigned n_bits, size_t n) : n_bits_(n_bits), word_((n * n_bits + 63) / 64 + 1)
	{
	}

	void set(size_t i, uint64_t v)
	{
		size_t at = i * n_bits_;

		word_[at / 64] |= v << at % 64;
		if (at % 64 + n_bits_ > 64)
			word_[at / 64 + 1] |= v >> (64 - at % 64);
	}

	uint64_t get(size_t i) const
	{
		size_t at = i * n_bits_;
		uint64_t v = word_[at / 64] >> at % 64;

		if (at % 64 + n_bits_ > 64)
			v |= word_[at / 64 + 1] << (64 - at % 64);
		return n_bits_ == 64 ? v : v & ((UINT64_C(1) << n_bits_) - 1);
	}

	size_t bytes() const
	{
		return word_.size() * 8;
	}

      private:
	unsigned n_bits_;
	std::vector<uint64_t> word_;
};

class Plain : public Column
{
      public:
	explicit Plain(const std::vector<int64_t> &v) : v_(v)
	{
	}
	int64_t at(size_t row) const override
	{
		return v_[row];
	}
	size_t bytes() const override
	{
		return v_.size() * 8;
	}
	const char *name() const override
	{
		return "plain";
	}

      private:
	std::vector<int64_t> v_;
};

class Packed : public Column
{
      public:
	Packed(const std::vector<int64_t> &v, int64_t base, unsigned n_bits)
	    : base_(base), bits_(n_bits, v.size())
	{
		for (size_t i = 0; i < v.size(); i++)
			bits_.set(i, uint64_t(v[i]) - uint64_t(base));
	}
	int64_t at(size_t row) const override
	{
		return int64_t(uint64_t(base_) + bits_.get(row));
	}
	size_t bytes() const override
	{
		return bits_.bytes() + 8;
	}
	const char *name() const override
	{
		return "packed";
	}

      private:
	int64_t base_;
	Bits bits_;
};

class Dictionary : public Column
{
      public:
	Dictionary(const std::vector<int64_t> &v, const std::vector<int64_t> &sorted)
	    : table_(sorted), bits_(width(sorted.size() - 1), v.size())
	{
		for (size_t i = 0; i < v.size(); i++)
			bits_.set(i, rank(v[i]));
	}
	int64_t at(size_t row) const override
	{
		return table_[bits_.get(row)];
	}
	size_t bytes() const override
	{
		return bits_.bytes() + table_.size() * 8;
	}
	const char *name() const override
	{
		return "dictionary";
	}

      private:
	size_t rank(int64_t v) const
	{
		size_t low = 0, high = table_.size() - 1;

		while (low < high) {
			size_t mid = (low + high) / 2;
			if (table_[mid] < v)
				low = mid + 1;
			else
				high = mid;
		}
		return low;
	}

	std::vector<int64_t> table_;
	Bits bits_;
};

/* Equal neighbours once.  Scans go forward, so the last run is most likely the next row's, too. */
class Runs : public Column
{
      public:
	explicit Runs(const std::vector<int64_t> &v)
	{
		for (size_t i = 0; i < v.size(); i++) {
			if (i == 0 || v[i] != v[i - 1])
				run_.push_back({v[i], 0});
			run_.back().end = i + 1;
		}
	}
	int64_t at(size_t row) const override
	{
		size_t begin = last_ ? run_[last_ - 1].end : 0;

		if (row < begin)
			last_ = 0;
		while (run_[last_].end <= row)
			last_++;
		return run_[last_].value;
	}
	size_t bytes() const override
	{
		return run_.size() * sizeof(Run);
	}
	const char *name() const override
	{
		return "runs";
	}

      private:
	struct Run {
		int64_t value;
		size_t end;
	};
	std::vector<Run> run_;
	mutable size_t last_ = 0;
};

/* Ascending numbers as steps of two bytes (65535: look in the exceptions), restarting every 32
 * rows. */
class Steps : public Column
{
	static constexpr int64_t kRest = 65535;

      public:
	static bool fits(const std::vector<int64_t> &v)
	{
		size_t wide = 0;

		for (size_t i = 1; i < v.size(); i++) {
			if (v[i] < v[i - 1])
				return false;
			wide += v[i] - v[i - 1] >= kRest;
		}
		return wide * 16 < v.size();
	}
	explicit Steps(const std::vector<int64_t> &v) : step_(v.size())
	{
		for (size_t i = 0; i < v.size(); i++) {
			int64_t d = i ? v[i] - v[i - 1] : 0;

			if (i % 32 == 0)
				base_.push_back(v[i]);
			step_[i] = uint16_t(d < kRest ? d : kRest);
			if (d >= kRest)
				rest_.push_back({uint32_t(i), d});
			if (i % 32 == 31 || i + 1 == v.size())
				rest_end_.push_back(rest_.size());
		}
	}
	int64_t at(size_t row) const override
	{
		size_t block = row / 32;
		int64_t v = base_[block];

		if (row == last_row_ + 1 && row % 32) {
			v = last_value_;
			v += step(row);
		} else {
			for (size_t i = block * 32 + 1; i <= row; i++)
				v += step(i);
		}
		last_row_ = row;
		last_value_ = v;
		return v;
	}
	size_t bytes() const override
	{
		return step_.size() * 2 + base_.size() * 16 + rest_.size() * sizeof(Rest);
	}
	const char *name() const override
	{
		return "steps";
	}

      private:
	struct Rest {
		uint32_t row;
		int64_t step;
	};

	int64_t step(size_t row) const
	{
		size_t block = row / 32;

		if (step_[row] != kRest)
			return step_[row];
		for (size_t i = block ? rest_end_[block - 1] : 0; i < rest_end_[block]; i++)
			if (rest_[i].row == row)
				return rest_[i].step;
		return 0;
	}

	std::vector<uint16_t> step_;
	std::vector<int64_t> base_;
	std::vector<size_t> rest_end_;
	std::vector<Rest> rest_;
	mutable size_t last_row_ = SIZE_MAX - 1;
	mutable int64_t last_value_ = 0;
};

struct Shape {
	int64_t low, high;
	size_t runs;
	bool ascending;
};

inline Shape look(const std::vector<int64_t> &v)
{
	Shape s = {v[0], v[0], 1, true};

	for (size_t i = 1; i < v.size(); i++) {
		if (v[i] < s.low)
			s.low = v[i];
		if (v[i] > s.high)
			s.high = v[i];
		if (v[i] != v[i - 1])
			s.runs++;
		if (v[i] < v[i - 1])
			s.ascending = false;
	}
	return s;
}

/* Are there few different values, to judge by the first ones? */
inline bool few(const std::vector<int64_t> &v)
{
	int64_t seen[24];
	size_t n = 0;

	for (size_t i = 0; i < v.size() && i < 192; i++) {
		size_t at = 0;

		while (at < n && seen[at] != v[i])
			at++;
		if (at == n) {
			if (n == 24)
				return false;
			seen[n++] = v[i];
		}
	}
	return true;
}

inline std::vector<int64_t> distinct(std::vector<int64_t> v)
{
	size_t n = 1;

	sort(v.data(), v.size(), [](int64_t a, int64_t b) { return a < b; });
	for (size_t i = 1; i < v.size(); i++)
		if (v[i] != v[n - 1])
			v[n++] = v[i];
	v.resize(n);
	return v;
}

inline std::unique_ptr<Column> encode(const std::vector<int64_t> &v)
{
	Shape s = look(v);
	unsigned n_bits = width(uint64_t(s.high) - uint64_t(s.low));
	size_t packed = v.size() * n_bits / 8 + 16;
	std::unique_ptr<Column> c;

	if (s.runs * 16 < packed) {
		c = std::make_unique<Runs>(v);
	} else if (s.ascending && packed > v.size() * 2 && Steps::fits(v)) {
		c = std::make_unique<Steps>(v);
	} else if (n_bits < 10) {
		c = std::make_unique<Packed>(v, s.low, n_bits);
	} else {
		std::vector<int64_t> table;
		if (few(v))
			table = distinct(v);
		if (!table.empty() &&
			table.size() * 8 + v.size() * width(table.size() - 1) / 8 < packed)
			c = std::make_unique<Dictionary>(v, table);
		else if (n_bits < 64)
			c = std::make_unique<Packed>(v, s.low, n_bits);
		else
			c = std::make_unique<Plain>(v);
	}
	c->low = s.low;
	c->high = s.high;
	return c;
}

} // namespace quarry
#endif
