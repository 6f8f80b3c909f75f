/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with what makes conversion hard in C++: inlining several levels deep, virtual calls, dense switches
 * (jump tables), exceptions thrown, caught, passed on and cleaned up after, constructors, recursion, tail calls,
 * same-named statics, lambdas, a loop that gets vectorised, and a function in a section of its own, which the
 * tests link into a second executable segment.
 *
 * convert_prog [ROUNDS]
 */
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#define NOINLINE __attribute__((noinline))

namespace
{

uint32_t state = 7;

inline uint32_t next()
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

struct Shape {
	virtual ~Shape() = default;
	virtual uint64_t area() const = 0;
	virtual uint64_t edge(uint32_t k) const
	{
		return k;
	}
};

struct Square : Shape {
	explicit Square(uint32_t s) : side(s)
	{
	}
	uint64_t area() const override
	{
		return uint64_t(side) * side;
	}
	uint32_t side;
};

struct Rect : Square {
	Rect(uint32_t a, uint32_t b) : Square(a), other(b)
	{
	}
	uint64_t area() const override
	{
		uint64_t sum = 0;

		for (uint32_t i = 0; i < (other & 15); i++)
			sum += side + edge(i);
		return sum;
	}
	uint64_t edge(uint32_t k) const override
	{
		return k & 1 ? side : other;
	}
	uint32_t other;
};

/* Has something to clean up when an exception passes. */
struct Guard {
	explicit Guard(uint64_t &c) : count(c)
	{
		count++;
	}
	~Guard()
	{
		count += 2;
	}
	uint64_t &count;
};

NOINLINE uint64_t risky(uint32_t x)
{
	if (x % 97 == 0)
		throw std::runtime_error("unlucky");
	if (x % 89 == 0)
		throw int(x & 255);
	return x & 7;
}

NOINLINE uint64_t middle(uint32_t x, uint64_t &cleaned)
{
	Guard g(cleaned);
	uint64_t sum = risky(x);

	for (uint32_t i = 0; i < (x & 3); i++)
		sum += risky(x + i * 3 + 1);
	return sum;
}

NOINLINE uint64_t guarded(uint32_t x, uint64_t &cleaned)
{
	try {
		return middle(x, cleaned);
	} catch (const std::runtime_error &e) {
		return e.what()[0];
	} catch (int code) {
		return uint64_t(code);
	}
}

/* A small machine: one dense switch, jumps forward and back. */
NOINLINE uint64_t machine(const std::vector<uint8_t> &code, uint64_t acc)
{
	for (size_t pc = 0, steps = 0; pc < code.size() && steps < 400; pc++, steps++) {
		switch (code[pc] & 15) {
		case 0:
			acc += pc;
			break;
		case 1:
			acc ^= acc << 7;
			break;
		case 2:
			acc -= code[pc];
			break;
		case 3:
			acc = acc * 3 + 1;
			break;
		case 4:
			if (acc & 1)
				pc++;
			break;
		case 5:
			if (acc & 6)
				pc += 2;
			break;
		case 6:
			acc = (acc >> 3) | (acc << 61);
			break;
		case 7:
			if (steps < 200 && pc > 4)
				pc -= 3;
			break;
		case 8:
			acc |= 1;
			break;
		case 9:
			acc += acc >> 11;
			break;
		case 10:
			acc = ~acc;
			break;
		case 11:
			if (acc == 0)
				return pc;
			break;
		case 12:
			acc += code[(pc + 1) % code.size()];
			break;
		default:
			acc++;
			break;
		}
	}
	return acc;
}

template <typename T, typename F> inline T fold(const std::vector<T> &v, T start, F f)
{
	for (const T &x : v)
		start = f(start, x);
	return start;
}

NOINLINE uint64_t sums(const std::vector<uint32_t> &v)
{
	uint64_t odd = 0;
	uint32_t all = 0;

	for (uint32_t x : v)
		all += x * 5;
	odd = fold<uint32_t>(v, 0, [](uint32_t a, uint32_t b) { return b & 1 ? a + b : a; });
	return odd + all;
}

NOINLINE uint64_t ackermann(uint32_t m, uint32_t n)
{
	if (m == 0)
		return n + 1;
	if (n == 0)
		return ackermann(m - 1, 1);
	return ackermann(m - 1, uint32_t(ackermann(m, n - 1)));
}

} // namespace

/* In a segment of its own, if the link says so. */
extern "C" __attribute__((noinline, section("fartext"))) uint32_t far_hash(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ uint8_t(*s++)) * 16777619u;
	return h % 3 == 0 ? h ^ (h >> 15) : h;
}

static NOINLINE uint64_t one_round(
	const std::vector<std::unique_ptr<Shape>> &shapes, uint64_t &cleaned)
{
	std::vector<uint8_t> code(64);
	std::vector<uint32_t> v(200);
	uint64_t sum = 0;

	for (auto &c : code)
		c = uint8_t(next());
	for (auto &x : v)
		x = next();
	std::sort(v.begin(), v.end(),
		[](uint32_t a, uint32_t b) { return (a & 0xffff) < (b & 0xffff); });
	for (const auto &s : shapes)
		sum += s->area() + s->edge(uint32_t(sum) & 3);
	for (int i = 0; i < 30; i++)
		sum += guarded(next(), cleaned);
	sum += machine(code, sum) + sums(v) + ackermann(2, 3 + (next() & 3));
	std::string text = std::to_string(sum) + "/" + std::to_string(v[0]);
	return sum + far_hash(text.c_str());
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? strtol(argv[1], nullptr, 10) : 300;
	std::vector<std::unique_ptr<Shape>> shapes;
	uint64_t sum = 0, cleaned = 0;

	for (uint32_t i = 0; i < 40; i++) {
		if (next() % 3)
			shapes.push_back(std::make_unique<Rect>(next() & 63, next() & 63));
		else
			shapes.push_back(std::make_unique<Square>(next() & 63));
	}
	for (long r = 0; r < rounds; r++)
		sum += one_round(shapes, cleaned);
	printf("%llu %llu\n", (unsigned long long)sum, (unsigned long long)cleaned);
	return 0;
}
