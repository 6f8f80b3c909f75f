/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stepring: branch rings of a program that runs at full speed, on a machine that has neither
 * branch records nor an emulator with plugins.
 *
 *	stepring -o OUT.ring [-n SAMPLES] [-t SECONDS] [-p MICROSECONDS] [-s SEED] -- PROGRAM ARG...
 *
 * The program runs natively. Every few hundred microseconds (jittered) it is stopped and
 * single-stepped until it has taken 32 branches; these are one sample. After SAMPLES of them, or
 * SECONDS, it is left alone. Writes the dump of tests/emu/ringdump.h, which mkperf turns into a
 * perf.data.
 *
 * True in it: the branches, their order, and the places in proportion to the time spent there.
 * Not in it: mispredictions, cycles, exact edge counts, and the kernel. The ring is what ran just
 * after the clock struck, not just before. x86-64, one thread, no root.
 *
 * A step costs some microseconds where debug exceptions reach the guest directly, but up to a
 * millisecond in nested virtual machines; -t is for those.
 */
#include "tests/emu/emuelf.h"
#include "tests/emu/ringdump.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CACHE_BITS = 16, DEPTH = 32, CYCLES_PER_US = 3000 };

struct insn { /* direct-mapped by address */
	uint64_t addr;
	unsigned len;
};

struct taken {
	uint64_t from, to;
};

struct shot {
	uint64_t ip, time_ns;
	struct taken ring[DEPTH]; /* oldest first */
};

static pid_t child;
static ZydisDecoder decoder;
static struct insn cache[1 << CACHE_BITS];
static struct ring_map maps[64];
static uint64_t n_maps;
static struct shot *shots;
static size_t n_shots;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "stepring: %s: %s\n", what, strerror(errno));
	if (child > 0)
		kill(child, SIGKILL);
	exit(125);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned random_below(uint64_t *s, unsigned n)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (unsigned)((*s * UINT64_C(0x2545f4914f6cdd1d) >> 33) % n);
}

/* The length of the instruction at addr; 0 if it cannot be told. */
static unsigned length_at(uint64_t addr)
{
	struct insn *i = &cache[(addr ^ addr >> 20) & ((1 << CACHE_BITS) - 1)];
	uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
	struct iovec to = {bytes, sizeof(bytes)}, from = {(void *)(uintptr_t)addr, sizeof(bytes)};
	ZydisDecodedInstruction d;
	ssize_t n;

	if (i->addr == addr)
		return i->len;
	n = process_vm_readv(child, &to, 1, &from, 1, 0);
	i->addr = addr;
	i->len = 0;
	if (n > 0 && ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(
			     &decoder, NULL, bytes, (ZyanUSize)n, &d)))
		i->len = d.length;
	return i->len;
}

static uint64_t pc(void)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, child, NULL, &r) != 0)
		die("PTRACE_GETREGS");
	return r.rip;
}

/* Waits for the child's next stop; the signal, or 0 when it is gone. */
static int wait_stop(int *ret_status)
{
	if (waitpid(child, ret_status, 0) != child)
		die("waitpid");
	return WIFSTOPPED(*ret_status) ? WSTOPSIG(*ret_status) : 0;
}

/* Steps until the ring is full. 1, or 0 when the program ended on the way. */
static int step_ring(struct shot *s, int *ret_status)
{
	uint64_t at = pc(), next;
	unsigned n = 0, len;

	while (n < DEPTH) {
		len = length_at(at);
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0)
			die("PTRACE_SINGLESTEP");
		if (wait_stop(ret_status) != SIGTRAP)
			return 0;
		next = pc();
		/* an instruction that repeats itself stays where it is: no branch */
		if (next != at && (len == 0 || next != at + len))
			s->ring[n++] = (struct taken){at, next};
		at = next;
	}
	s->ip = at;
	return 1;
}

static void identify(struct ring_map *m)
{
	struct emu_elf elf;
	struct stat st;

	if (stat(m->path, &st) == 0) {
		m->maj = major(st.st_dev);
		m->min = minor(st.st_dev);
		m->ino = st.st_ino;
	}
	if (emu_elf_read(m->path, &elf) != 0)
		return;
	m->elf_type = elf.type;
	m->build_id_size = (uint16_t)elf.build_id_size;
	memcpy(m->build_id, elf.build_id, sizeof(m->build_id));
	for (unsigned i = 0; i < elf.n_loads; i++)
		if ((elf.load[i].flags & PF_X) &&
			m->pgoff <= elf.load[i].offset + elf.load[i].filesz &&
			elf.load[i].offset < m->pgoff + m->len)
			m->vaddr_off = elf.load[i].vaddr - elf.load[i].offset;
}

/* The executable mappings of files, the program's first. */
static void read_maps(void)
{
	char name[64], line[RING_PATH_MAX + 256], perm[8], program[RING_PATH_MAX] = "";
	uint64_t lo, hi, off;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/exe", (int)child);
	if (readlink(name, program, sizeof(program) - 1) < 0)
		die(name);
	snprintf(name, sizeof(name), "/proc/%d/maps", (int)child);
	f = fopen(name, "re");
	if (!f)
		die(name);
	while (fgets(line, sizeof(line), f) && n_maps < sizeof(maps) / sizeof(maps[0])) {
		struct ring_map *m = &maps[n_maps], swap;

		memset(m, 0, sizeof(*m));
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %1023[^\n]", &lo,
			    &hi, perm, &off, m->path) != 5 ||
			m->path[0] != '/' || perm[2] != 'x')
			continue;
		m->start = lo;
		m->len = hi - lo;
		m->pgoff = off;
		m->prot = PROT_READ | PROT_EXEC;
		m->gone_ns = UINT64_MAX;
		identify(m);
		if (strcmp(m->path, program) == 0 && !maps[0].main) {
			m->main = 1;
			swap = maps[0];
			maps[0] = *m;
			if (n_maps)
				*m = swap;
		}
		n_maps++;
	}
	fclose(f);
}

static int by_edge(const void *a, const void *b)
{
	const struct taken *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->to > y->to) - (x->to < y->to);
}

/* The different branches of all rings, sorted; counted as often as they were seen. */
static struct ring_edge *collect_edges(uint64_t *ret_n)
{
	size_t all = n_shots * DEPTH;
	struct taken *t = malloc((all + 1) * sizeof(*t));
	struct ring_edge *e = calloc(all + 1, sizeof(*e));
	uint64_t n = 0;

	if (!t || !e)
		die("memory for the branches");
	for (size_t i = 0; i < n_shots; i++)
		memcpy(t + i * DEPTH, shots[i].ring, sizeof(shots[i].ring));
	qsort(t, all, sizeof(*t), by_edge);
	for (size_t i = 0; i < all; i++) {
		if (i == 0 || by_edge(&t[i], &t[i - 1]) != 0)
			e[n++] = (struct ring_edge){.from = t[i].from, .to = t[i].to};
		e[n - 1].count++;
	}
	free(t);
	*ret_n = n;
	return e;
}

static uint32_t edge_index(const struct ring_edge *e, uint64_t n, const struct taken *t)
{
	uint64_t low = 0, high = n;

	while (low < high) {
		uint64_t mid = (low + high) / 2;
		struct taken m = {e[mid].from, e[mid].to};

		if (by_edge(&m, t) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return (uint32_t)low;
}

static void write_samples(
	FILE *f, struct ring_header *h, const struct ring_edge *edges, uint64_t period)
{
	for (size_t i = 0; i < n_shots; i++) {
		struct ring_sample s = {.ip = shots[i].ip,
			.time_ns = shots[i].time_ns,
			.period = period,
			.tid = h->pid,
			.n_ring = DEPTH};

		fwrite(&s, sizeof(s), 1, f);
		for (int k = DEPTH - 1; k >= 0; k--) {
			struct ring_entry e = {
				.edge = edge_index(edges, h->n_edges, &shots[i].ring[k])};
			fwrite(&e, sizeof(e), 1, f);
		}
	}
	h->n_samples = n_shots;
}

static void write_dump(const char *out, char **argv, unsigned period_us, uint64_t seed)
{
	struct ring_header h = {.magic = RING_MAGIC,
		.header_size = sizeof(h),
		.isa = EM_X86_64,
		.event = RING_EV_CYCLES,
		.depth = DEPTH,
		.period = (uint64_t)period_us * CYCLES_PER_US,
		.seed = seed,
		.jitter = 50,
		.pid = (uint32_t)child,
		.ppid = (uint32_t)getpid(),
		.wall_ns = (uint64_t)time(NULL) * 1000000000u};
	const char *base = strrchr(maps[0].path, '/');
	struct ring_edge *edges = collect_edges(&h.n_edges);
	FILE *f = fopen(out, "we");

	if (!f)
		die(out);
	snprintf(h.comm, sizeof(h.comm), "%.15s", base ? base + 1 : argv[0]);
	fwrite(&h, sizeof(h), 1, f);
	h.cmdline_off = (uint64_t)ftell(f);
	for (char **a = argv; *a; a++)
		h.cmdline_size += (uint32_t)fwrite(*a, 1, strlen(*a) + 1, f);
	while (ftell(f) % 8)
		fputc(0, f);
	h.maps_off = (uint64_t)ftell(f);
	h.n_maps = fwrite(maps, sizeof(*maps), n_maps, f);
	h.edges_off = h.blocks_off = (uint64_t)ftell(f);
	fwrite(edges, sizeof(*edges), h.n_edges, f);
	h.samples_off = (uint64_t)ftell(f);
	write_samples(f, &h, edges, h.period);
	h.samples_size = (uint64_t)ftell(f) - h.samples_off;
	rewind(f);
	fwrite(&h, sizeof(h), 1, f);
	if (ferror(f) || fclose(f) != 0)
		die(out);
	free(edges);
}

/* Program and stepper on one processor: each step is then a switch, not a wake-up elsewhere. */
static void share_processor(uint64_t seed)
{
	cpu_set_t all, one;
	int n;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		return;
	n = (int)(seed % (uint64_t)CPU_COUNT(&all));
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && n-- == 0)
			CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void start(char **argv)
{
	int status;

	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		raise(SIGSTOP);
		execvp(argv[0], argv);
		fprintf(stderr, "stepring: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (waitpid(child, &status, WUNTRACED) != child)
		die("waitpid");
	if (ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_EXITKILL) != 0)
		die("PTRACE_SEIZE (is tracing of own children forbidden here?)");
	kill(child, SIGCONT);
}

/* Returns the wait status that ended it, or -1 while the program still runs. */
static int sample(size_t want, unsigned seconds, unsigned period_us, uint64_t seed)
{
	uint64_t began = now_ns(), rng = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	int status = -1;

	while (n_shots < want && now_ns() - began < seconds * UINT64_C(1000000000)) {
		unsigned us = period_us / 2 + random_below(&rng, period_us + 1);
		struct timespec t = {0, (long)us * 1000};
		int sig;

		nanosleep(&t, NULL);
		if (ptrace(PTRACE_INTERRUPT, child, NULL, NULL) != 0 && errno != ESRCH)
			die("PTRACE_INTERRUPT");
		sig = wait_stop(&status);
		if (!sig)
			return status;
		if (status >> 16 == PTRACE_EVENT_STOP) {
			/* not while the dynamic loader is still at work: see the first maps */
			shots[n_shots].time_ns = now_ns() - began;
			if (now_ns() - began > 10000000) {
				if (!step_ring(&shots[n_shots], &status)) {
					if (!WIFSTOPPED(status))
						return status;
				} else if (++n_shots == 1) {
					read_maps();
				}
			}
			sig = 0;
		} else if (sig == SIGTRAP) {
			sig = 0; /* exec */
		}
		if (ptrace(PTRACE_CONT, child, NULL, (void *)(intptr_t)sig) != 0)
			die("PTRACE_CONT");
	}
	return -1;
}

int main(int argc, char **argv)
{
	unsigned period_us = 400, seconds = 3600;
	size_t want = 3000;
	uint64_t seed = 1;
	const char *out = NULL;
	int c, status;

	while ((c = getopt(argc, argv, "+o:n:p:s:t:")) != -1) {
		if (c == 'o')
			out = optarg;
		else if (c == 'n')
			want = strtoul(optarg, NULL, 10);
		else if (c == 'p')
			period_us = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 't')
			seconds = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 10);
		else
			out = NULL, optind = argc;
	}
	if (!out || optind >= argc || !want || !period_us || period_us > 100000) {
		fprintf(stderr, "usage: stepring -o OUT.ring [-n SAMPLES] [-t SECONDS] "
				"[-p MICROSECONDS] [-s SEED] -- PROGRAM ARG...\n");
		return 2;
	}
	shots = calloc(want + 1, sizeof(*shots));
	if (!shots)
		die("memory for the samples");
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	share_processor(seed);
	start(argv + optind);
	status = sample(want, seconds, period_us, seed);
	if (status < 0) { /* it may finish in peace */
		ptrace(PTRACE_INTERRUPT, child, NULL, NULL);
		wait_stop(&status);
		ptrace(PTRACE_DETACH, child, NULL, NULL);
		if (WIFSTOPPED(status) && waitpid(child, &status, 0) != child)
			die("waitpid");
	}
	write_dump(out, argv + optind, period_us, seed);
	fprintf(stderr, "stepring: %zu samples\n", n_shots);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
