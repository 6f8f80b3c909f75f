/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarry gen SEED BYTES KIND           writes log text to the standard output
 * quarry run FILE ROUNDS [QUERY]       packs it; ROUNDS times: unpack, parse, encode, query
 *
 * Every round must give the same results; the checksum at the end is the same for every build.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "qengine.hpp"

using namespace quarry;

namespace
{

const char *const default_queries[] = {
	"where status >= 500 group host, status agg count, max(dur), avg(bytes) top 10",
	"where op == \"GET\" and dur > 900 group path agg sum(bytes), count, avg(dur) top 5",
	"where match(path, \"/api/*/users/*[0-4]\") or status == 404 group user agg count, "
	"min(dur) "
	"top 8",
	"where bytes * 10 / (dur + 1) > 30 and not (op in (\"PUT\", \"PATCH\")) "
	"group bucket(time, 60000) agg sum(bytes), max(bytes), median(dur) top 12",
	"group op, status agg count, avg(dur), median(bytes), max(bytes - dur) top 15",
	"where status % 100 in (1, 3, 4) and len(user) > 4 and time < 1772409700000 "
	"group route, host agg count, sum(min(dur, 5000)) top 10",
	"group route agg sum(dur), count, max(bytes) top 6",
	"where dur > 2 * 1000 and bytes > 512 group host, bucket(time, 300000) agg count, sum(dur) "
	"top 10",
	"where bytes + dur * 2 > 8000 and status < 400 or status == 404 group op, route "
	"agg count, avg(bytes * 8 / max(dur, 1)), max(dur) top 9",
	"where not (status >= 400) and bytes % 16 < 8 and len(path) > 12 group user "
	"agg sum(bytes), count, median(dur), min(bytes) top 10",
};

uint64_t mix(uint64_t h, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * UINT64_C(0x100000001b3);
	return h;
}

bool read_file(const char *path, std::string &text)
{
	FILE *f = fopen(path, "rb");
	char buf[65536];
	size_t n;

	if (!f) {
		perror(path);
		return false;
	}
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		text.append(buf, n);
	bool ok = !ferror(f);
	fclose(f);
	return ok;
}

/* What an engine like this keeps on disk: the text in packed blocks. */
class Archive
{
      public:
	explicit Archive(const std::string &text) : size_(text.size())
	{
		std::vector<uint8_t> out(Q_LZ_BOUND);

		for (size_t at = 0; at < text.size(); at += Q_LZ_BLOCK) {
			size_t k = q_lz_pack(reinterpret_cast<const uint8_t *>(&text[at]),
				length(at), out.data());

			block_.emplace_back(out.begin(), out.begin() + std::ptrdiff_t(k));
			packed_ += k;
		}
	}

	bool unpack(std::string &text) const
	{
		text.assign(size_, 0);
		for (size_t i = 0; i < block_.size(); i++) {
			size_t at = i * Q_LZ_BLOCK;

			if (q_lz_unpack(block_[i].data(), block_[i].size(),
				    reinterpret_cast<uint8_t *>(&text[at]), length(at)) != 0)
				return false;
		}
		return true;
	}

	size_t packed() const
	{
		return packed_;
	}

      private:
	size_t length(size_t at) const
	{
		return size_ - at < Q_LZ_BLOCK ? size_ - at : size_t(Q_LZ_BLOCK);
	}

	size_t size_, packed_ = 0;
	std::vector<std::vector<uint8_t>> block_;
};

void sink(void *ctx, const q_record *r)
{
	static_cast<Store *>(ctx)->add(*r);
}

struct Session {
	const std::string &text;
	Archive archive;
	std::vector<const char *> queries;

	/* One round; the checksum of all it found, or 0 for a failed check. */
	uint64_t round(bool verbose) const
	{
		std::unique_ptr<q_dict, void (*)(q_dict *)> dict(q_dict_new(), q_dict_free);
		std::unique_ptr<q_router, void (*)(q_router *)> router(
			q_router_new(), q_router_free);
		Store store;
		q_parser parser = {};
		std::string back;
		uint64_t sum = UINT64_C(0xcbf29ce484222325);

		if (!archive.unpack(back) || back != text) {
			fprintf(stderr, "quarry: the packed text does not unpack to itself\n");
			return 0;
		}
		parser.dict = dict.get();
		parser.router = router.get();
		parser.sink = sink;
		parser.ctx = &store;
		q_parse_text(&parser, {back.data(), back.size()});
		store.seal();
		if (parser.n_records + parser.n_skipped != parser.n_lines) {
			fprintf(stderr, "quarry: lines do not add up\n");
			return 0;
		}
		if (verbose) {
			printf("text     %zu bytes, packed %zu\n", text.size(), archive.packed());
			printf("lines    %llu, records %llu, strings %u\n",
				(unsigned long long)parser.n_lines,
				(unsigned long long)parser.n_records, q_dict_size(dict.get()));
			q_diag_print(&parser.diag, stdout);
			columns(store);
		}
		sum ^= archive.packed() * 31 + parser.n_records;
		for (const char *text : queries)
			if (!one(text, store, dict.get(), verbose, sum))
				return 0;
		return sum ? sum : 1;
	}

	static bool one(
		const char *text, const Store &store, q_dict *dict, bool verbose, uint64_t &sum)
	{
		Query q;
		std::string error;

		if (!Query::parse(text, dict, q, error)) {
			fprintf(stderr, "quarry: %s\n  in: %s\n", error.c_str(), text);
			return false;
		}
		Result r = run_query(q, store, dict);
		if (r.disagreements) {
			fprintf(stderr, "quarry: interpreter and tree disagree\n  in: %s\n", text);
			return false;
		}
		for (const std::string &line : r.lines)
			sum = mix(sum, line.data(), line.size());
		if (verbose) {
			printf("query    %s\n", text);
			printf("  %llu of %llu rows, %llu segments skipped\n",
				(unsigned long long)r.rows_matched, (unsigned long long)r.rows_seen,
				(unsigned long long)r.segments_skipped);
			for (const std::string &line : r.lines)
				printf("    %s\n", line.c_str());
		}
		return true;
	}

	static void columns(const Store &store)
	{
		static const char *const names[] = {
			"time", "host", "op", "path", "route", "user", "status", "bytes", "dur"};

		for (size_t f = 0; f < Q_N_FIELDS && !store.segments().empty(); f++) {
			size_t bytes = 0;

			for (const Segment &s : store.segments())
				bytes += s.col[f]->bytes();
			printf("column   %-7s %8zu bytes, first segment %s\n", names[f], bytes,
				store.segments()[0].col[f]->name());
		}
	}
};

int run(int argc, char **argv)
{
	std::string text;
	long rounds = strtol(argv[3], nullptr, 10);
	uint64_t first = 0;

	if (!read_file(argv[2], text))
		return 3;
	Session s = {text, Archive(text), {}};
	if (argc > 4)
		s.queries.push_back(argv[4]);
	else
		s.queries.assign(std::begin(default_queries), std::end(default_queries));
	for (long i = 0; i < rounds; i++) {
		uint64_t sum = s.round(i == 0);

		if (!sum)
			return 1;
		if (i && sum != first) {
			fprintf(stderr, "quarry: round %ld differs from the first\n", i);
			return 1;
		}
		first = sum;
	}
	printf("checksum %016llx\n", (unsigned long long)first);
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "gen") == 0) {
		if (q_generate(stdout, strtoull(argv[2], nullptr, 10),
			    strtoul(argv[3], nullptr, 10), argv[4]) == 0)
			return 0;
		fprintf(stderr, "quarry: no kind '%s': web, api, batch or mixed\n", argv[4]);
		return 2;
	}
	if ((argc == 4 || argc == 5) && strcmp(argv[1], "run") == 0)
		return run(argc, argv);
	fprintf(stderr,
		"usage: quarry gen SEED BYTES KIND\n       quarry run FILE ROUNDS [QUERY]\n");
	return 2;
}
