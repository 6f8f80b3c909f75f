// SPDX-License-Identifier: Apache-2.0
//
// A program for comparing converters: what C++ makes of control flow, in small, beside two C
// halves. Virtual calls with a dominant class, templates instantiated twice, exceptions that are
// thrown and cleaned up after, lambdas, an anonymous namespace, constructors with aliases, a loop
// over a lookup through a pointer to member. Its output depends on its arguments only.
//
//	menagerie [ROUNDS [SEED]]
#include "menagerie.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace
{

class Animal
{
      public:
	explicit Animal(uint32_t weight) : weight_(weight)
	{
	}
	virtual ~Animal() = default;
	virtual uint32_t speak(uint32_t x) const = 0;
	uint32_t weight() const
	{
		return weight_;
	}

      private:
	uint32_t weight_;
};

class Cat : public Animal
{
      public:
	using Animal::Animal;
	uint32_t speak(uint32_t x) const override
	{
		return x * 3 + weight();
	}
};

class Dog : public Animal
{
      public:
	using Animal::Animal;
	uint32_t speak(uint32_t x) const override
	{
		uint32_t n = 0;

		while (x > weight()) {
			x >>= 1;
			n++;
		}
		return x + n;
	}
};

class Bird : public Animal
{
      public:
	explicit Bird(uint32_t weight) : Animal(weight), song_(weight % 7, 'a')
	{
	}
	uint32_t speak(uint32_t x) const override
	{
		for (char c : song_)
			x = x * 33 + static_cast<unsigned char>(c);
		return x;
	}

      private:
	std::string song_;
};

struct Escaped : std::runtime_error {
	explicit Escaped(uint32_t at) : std::runtime_error("escaped"), at(at)
	{
	}
	uint32_t at;
};

// Its destructor runs on the landing pad too.
struct Gate {
	explicit Gate(uint32_t &count) : count(count)
	{
		count++;
	}
	~Gate()
	{
		count--;
	}
	uint32_t &count;
};

template <typename T> [[gnu::noinline]] T digest(const std::vector<T> &v)
{
	T sum = 0;

	for (T x : v)
		if (x % 3 != 0)
			sum += x;
		else
			sum ^= x << 1;
	return sum;
}

[[gnu::noinline]] uint32_t feed(const Animal &a, uint32_t food)
{
	if (food % 251 == 7)
		throw Escaped(food);
	return a.speak(food) ^ food;
}

[[gnu::noinline]] uint32_t visit(const std::vector<std::unique_ptr<Animal>> &zoo, dice &d)
{
	uint32_t open = 0, sum = 0;

	for (const auto &a : zoo) {
		try {
			Gate gate(open);

			sum += feed(*a, dice_roll(&d));
		} catch (const Escaped &e) {
			sum ^= e.at + open;
		}
	}
	return sum;
}

std::vector<std::unique_ptr<Animal>> populate(dice &d)
{
	std::vector<std::unique_ptr<Animal>> zoo;

	for (int i = 0; i < 200; i++) {
		uint32_t r = dice_roll(&d);

		if (r % 10 < 8)
			zoo.push_back(std::make_unique<Cat>(r % 100));
		else if (r % 10 == 8)
			zoo.push_back(std::make_unique<Dog>(r % 100 + 1));
		else
			zoo.push_back(std::make_unique<Bird>(r % 100));
	}
	return zoo;
}

} // namespace

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? static_cast<uint32_t>(std::atoi(argv[1])) : 100;
	dice d = {argc > 2 ? static_cast<uint32_t>(std::atoi(argv[2])) : 1};
	auto zoo = populate(d);
	std::vector<uint32_t> narrow(300);
	std::vector<uint64_t> wide(300);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < rounds; i++) {
		sum += visit(zoo, d);
		for (auto &x : narrow)
			x = dice_roll(&d);
		std::transform(narrow.begin(), narrow.end(), wide.begin(),
			[](uint32_t x) { return uint64_t(x) << 7 ^ x; });
		std::sort(narrow.begin(), narrow.end(),
			[](uint32_t a, uint32_t b) { return a % 1000 < b % 1000; });
		sum ^= digest(narrow) + digest(wide);
		sum += left_walk(&d, 2000) + right_walk(&d, 500);
	}
	std::printf("%u rounds, %016llx\n", rounds, static_cast<unsigned long long>(sum));
	return 0;
}
