# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
ABOUT='C++, the key-value store with a driver of our own: virtual iterators, comparators, caches, filters; two threads'
FROM='apt leveldb'

recipe_prepare() {
	mkdir -p generated/port
	sed -e 's/#cmakedefine01 \(HAVE_FDATASYNC\|HAVE_O_CLOEXEC\)/#define \1 1/' -e 's/#cmakedefine01 \([A-Z_0-9]*\)/#define \1 0/' \
		port/port_config.h.in >generated/port/port_config.h
	cat >driver.cc <<'END'
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include "leveldb/cache.h"
#include "leveldb/db.h"
#include "leveldb/env.h"
#include "leveldb/filter_policy.h"
#include "leveldb/write_batch.h"
#include "helpers/memenv/memenv.h"

using namespace leveldb;

static unsigned state;
static unsigned Random(unsigned n) { state = state * 1103515245 + 12345; return (state >> 8) % n; }
static std::string Key(unsigned n) { char b[32]; snprintf(b, sizeof(b), "user%08u", n); return b; }

/* Two kinds of use: train writes in batches, reads and scans; test overwrites, deletes, walks backwards. */
int main(int argc, char** argv) {
  const bool test = argc > 1 && std::string(argv[1]) == "test";
  std::unique_ptr<Env> env(NewMemEnv(Env::Default()));
  std::unique_ptr<const FilterPolicy> filter(NewBloomFilterPolicy(10));
  std::unique_ptr<Cache> cache(NewLRUCache(1 << 20));
  Options o;
  o.create_if_missing = true;
  o.env = env.get();
  o.filter_policy = filter.get();
  o.block_cache = cache.get();
  o.write_buffer_size = 256 << 10;
  DB* raw = nullptr;
  if (!DB::Open(o, "/db", &raw).ok()) return 1;
  std::unique_ptr<DB> db(raw);
  state = test ? 99 : 7;
  unsigned long sum = 0, found = 0;
  const unsigned n = test ? 9000 : 20000;
  for (unsigned i = 0; i < n; i += 10) {
    WriteBatch batch;
    for (unsigned k = 0; k < 10; k++) {
      std::string value(20 + Random(100), 'a' + Random(26));
      batch.Put(Key(Random(n)), value);
      if (test && Random(3) == 0) batch.Delete(Key(Random(n)));
    }
    db->Write(WriteOptions(), &batch);
  }
  db->CompactRange(nullptr, nullptr);
  for (unsigned i = 0; i < 2 * n; i++) {
    std::string value;
    if (db->Get(ReadOptions(), Key(Random(n + n / 4)), &value).ok()) { found++; sum += value.size(); }
  }
  for (int round = 0; round < 3; round++) {
    std::unique_ptr<Iterator> it(db->NewIterator(ReadOptions()));
    if (test) for (it->SeekToLast(); it->Valid(); it->Prev()) sum += it->value()[0];
    else for (it->SeekToFirst(); it->Valid(); it->Next()) sum += it->value()[0];
    for (int k = 0; k < 500; k++) { it->Seek(Key(Random(n))); if (it->Valid()) sum += it->key().size(); }
  }
  printf("%lu found, sum %lu\n", found, sum);
  return 0;
}
END
}

recipe_build() {
	local f files=()
	for f in db/*.cc table/*.cc util/*.cc helpers/memenv/*.cc driver.cc; do
		case $f in *_test.cc | *windows* | */leveldbutil.cc | */testutil.cc | */env_posix_test* | */c_test*) ;; *) files+=("$f") ;; esac
	done
	compile -std=c++17 -DLEVELDB_PLATFORM_POSIX=1 -DNDEBUG -I. -Iinclude -Igenerated -- "${files[@]}" && link -lpthread
}

recipe_inputs() {
	:
}

recipe_run() {
	local input=$1
	shift
	"$@" "$input"
}
