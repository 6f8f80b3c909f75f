/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without a fuzzer: saved inputs first, as they are; then mutations of them, the
 * same ones every time for the same seed.
 *
 *	fuzz_NAME [-n MUTATIONS] [-t SECONDS] [-s SEED] FILE|DIRECTORY...
 *
 * A crash, a sanitizer report or a hang (10 s for one input) leaves the input in the file
 * fuzz-crash.bin in $FUZZ_CRASH_DIR (/tmp), says so, and ends with a non-zero exit code.  Mutations
 * stop at the count or at the time limit, whichever is first.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* There in programs built with a sanitizer only. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

#define INPUT_MAX ((size_t)1 << 20)
#define HANG_SECONDS 10

struct input {
	char *name;
	uint8_t *data;
	size_t len;
};

static struct input *inputs;
static size_t n_inputs;
/* What the target is looking at, for the post-mortem. */
static const uint8_t *volatile current;
static volatile size_t current_len;
static char crash_path[PATH_MAX];

static void die(const char *what, const char *name)
{
	fprintf(stderr, "regress: %s: %s\n", what, name);
	exit(2);
}

/* ---------------------------------------------------------------- post-mortem */

static void save_current(void)
{
	int fd;

	if (current == NULL)
		return;
	fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return;
	if (write(fd, current, current_len) == (ssize_t)current_len)
		dprintf(STDERR_FILENO, "regress: the input is saved as %s (%zu bytes)\n",
			crash_path, current_len);
	close(fd);
	current = NULL;
}

static void on_signal(int sig)
{
	if (sig == SIGALRM)
		dprintf(STDERR_FILENO, "regress: no answer within %d s\n", HANG_SECONDS);
	save_current();
	signal(sig, SIG_DFL);
	if (sig == SIGALRM)
		_exit(1);
	raise(sig);
}

static void watch(void)
{
	static const int fatal[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGALRM, SIGTERM};
	const char *dir = getenv("FUZZ_CRASH_DIR");

	snprintf(crash_path, sizeof crash_path, "%s/fuzz-crash.bin", dir != NULL ? dir : "/tmp");
	/* A sanitizer has its own handlers, and tells us when it is done reporting. */
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(save_current);
	for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
		if (__sanitizer_set_death_callback == NULL || fatal[i] == SIGALRM ||
			fatal[i] == SIGTERM)
			signal(fatal[i], on_signal);
}

static void try(const uint8_t *data, size_t len)
{
	/* In a block of its exact size, so that reading past the end is seen. */
	uint8_t *copy = malloc(len != 0 ? len : 1);

	if (copy == NULL)
		die("out of memory", "input");
	memcpy(copy, data, len);
	current = copy;
	current_len = len;
	alarm(HANG_SECONDS);
	LLVMFuzzerTestOneInput(copy, len);
	alarm(0);
	current = NULL;
	free(copy);
}

/* ---------------------------------------------------------------- inputs */

static void load_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct input *in;

	inputs = realloc(inputs, (n_inputs + 1) * sizeof *inputs);
	if (f == NULL || inputs == NULL)
		die("cannot be read", path);
	in = &inputs[n_inputs++];
	in->name = strdup(path);
	in->data = malloc(INPUT_MAX);
	if (in->name == NULL || in->data == NULL)
		die("out of memory", path);
	in->len = fread(in->data, 1, INPUT_MAX, f);
	fclose(f);
}

static void load(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int n;

	if (stat(path, &st) < 0)
		die("no such file or directory", path);
	if (!S_ISDIR(st.st_mode)) {
		load_file(path);
		return;
	}
	n = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char *below;

		if (entries[i]->d_name[0] != '.' &&
			asprintf(&below, "%s/%s", path, entries[i]->d_name) > 0) {
			load(below);
			free(below);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

/* ---------------------------------------------------------------- mutations */

static uint64_t seed = 1;

static uint64_t roll(uint64_t below)
{
	/* xorshift64*: the same numbers on every machine. */
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return below != 0 ? (seed * 0x2545f4914f6cdd1du >> 11) % below : 0;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Numbers that lengths and counts break on. */
static void put_interesting(uint8_t *p, size_t len)
{
	static const uint64_t numbers[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX};
	uint64_t v = numbers[roll(sizeof numbers / sizeof numbers[0])];
	size_t width = (size_t)1 << roll(4);
	size_t at = roll(len);

	for (size_t i = 0; i < width && at + i < len; i++)
		p[at + i] = (uint8_t)(v >> 8 * i);
}

static size_t splice_in(uint8_t *p, size_t len)
{
	const struct input *other = &inputs[roll(n_inputs)];
	size_t from = roll(other->len), to = roll(len);
	size_t n = min_size(roll(other->len - from) + 1, INPUT_MAX - to);

	if (other->len == 0)
		return len;
	n = min_size(n, other->len - from);
	memcpy(p + to, other->data + from, n);
	return to + n > len ? to + n : len;
}

static size_t drop(uint8_t *p, size_t len)
{
	size_t at = roll(len);
	size_t n = min_size(roll(64) + 1, len - at);

	memmove(p + at, p + at + n, len - at - n);
	return len - n;
}

static size_t repeat(uint8_t *p, size_t len)
{
	size_t at = roll(len);
	size_t n = min_size(min_size(roll(64) + 1, len - at), INPUT_MAX - len);

	memmove(p + at + n, p + at, len - at);
	return len + n;
}

static size_t mutate(uint8_t *p, size_t len)
{
	for (uint64_t times = roll(4) + 1; times > 0 && len != 0; times--) {
		switch (roll(8)) {
		case 0:
		case 1:
			p[roll(len)] ^= (uint8_t)(1u << roll(8));
			break;
		case 2:
			p[roll(len)] = (uint8_t)roll(256);
			break;
		case 3:
			put_interesting(p, len);
			break;
		case 4:
			len = roll(len);
			break;
		case 5:
			len = splice_in(p, len);
			break;
		case 6:
			len = drop(p, len);
			break;
		default:
			len = repeat(p, len);
		}
	}
	return len;
}

/* ---------------------------------------------------------------- the run */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Every saved input cut at each hundredth of its length. */
static void truncations(double until)
{
	for (size_t i = 0; i < n_inputs && seconds() < until; i++)
		for (size_t percent = 0; percent < 100; percent++)
			try(inputs[i].data, inputs[i].len * percent / 100);
}

static unsigned long mutations(unsigned long wanted, double until)
{
	uint8_t *block = malloc(INPUT_MAX);
	unsigned long done;

	if (block == NULL)
		die("out of memory", "mutations");
	for (done = 0; done < wanted && n_inputs != 0 && seconds() < until; done++) {
		const struct input *in = &inputs[done % n_inputs];

		memcpy(block, in->data, in->len);
		try(block, mutate(block, in->len));
	}
	free(block);
	return done;
}

int main(int argc, char **argv)
{
	unsigned long wanted = 1000, done;
	double limit = 10, start;
	int c;

	while ((c = getopt(argc, argv, "n:t:s:")) != -1) {
		if (c == '?')
			return 2;
		if (c == 'n')
			wanted = strtoul(optarg, NULL, 10);
		else if (c == 't')
			limit = strtod(optarg, NULL);
		else
			seed = strtoull(optarg, NULL, 10) | 1;
	}
	watch();
	for (; optind < argc; optind++)
		load(argv[optind]);
	if (n_inputs == 0)
		die("no saved inputs", argv[0]);
	start = seconds();
	try((const uint8_t *)"", 0);
	for (size_t i = 0; i < n_inputs; i++)
		try(inputs[i].data, inputs[i].len);
	truncations(start + limit);
	done = mutations(wanted, start + limit);
	printf("%zu saved inputs, their truncations and %lu mutations in %.1f s\n", n_inputs, done,
		seconds() - start);
	for (size_t i = 0; i < n_inputs; i++) {
		free(inputs[i].name);
		free(inputs[i].data);
	}
	free(inputs);
	return 0;
}
