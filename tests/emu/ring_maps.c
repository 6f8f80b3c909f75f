/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's executable mappings. The program and its interpreter are there before the first
 * instruction: they are found in the emulator's own /proc/self/maps, where guest code is
 * file-backed but not executable for the host. Everything later comes from mmap and munmap system
 * calls. Signal handlers are noted too, so that their entry is not taken for an indirect branch.
 */
#include "emuelf.h"
#include "ring_state.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define N_HANDLERS 128

static struct ring_map *maps;
static size_t n_maps, cap_maps;
static uint64_t handlers[N_HANDLERS];
static unsigned n_handlers;

static struct ring_map *map_add(uint64_t start, uint64_t len, uint64_t pgoff, const char *path)
{
	struct ring_map *m;

	if (n_maps == cap_maps) {
		cap_maps = cap_maps ? 2 * cap_maps : 16;
		maps = realloc(maps, cap_maps * sizeof(*maps));
		if (!maps) {
			fputs("ring_plugin: out of memory for mappings\n", stderr);
			_exit(125);
		}
	}
	m = &maps[n_maps++];
	memset(m, 0, sizeof(*m));
	m->start = start;
	m->len = len;
	m->pgoff = pgoff;
	m->prot = PROT_READ | PROT_EXEC;
	m->gone_ns = UINT64_MAX;
	snprintf(m->path, sizeof(m->path), "%s", path);
	return m;
}

/* Identity and build-id of the file, read while it is surely the one that was mapped. */
static void map_identify(struct ring_map *m)
{
	struct emu_elf elf;
	struct stat st;
	unsigned i;

	if (!stat(m->path, &st)) {
		m->maj = major(st.st_dev);
		m->min = minor(st.st_dev);
		m->ino = st.st_ino;
	}
	if (emu_elf_read(m->path, &elf))
		return;
	m->elf_type = elf.type;
	m->build_id_size = (uint16_t)elf.build_id_size;
	memcpy(m->build_id, elf.build_id, sizeof(m->build_id));
	for (i = 0; i < elf.n_loads; i++)
		if ((elf.load[i].flags & PF_X) &&
			m->pgoff <= elf.load[i].offset + elf.load[i].filesz &&
			elf.load[i].offset < m->pgoff + m->len)
			m->vaddr_off = elf.load[i].vaddr - elf.load[i].offset;
}

/* A line of /proc/self/maps, in guest addresses. */
struct line {
	uint64_t lo, hi, off;
	int host_exec;
	char *path;
};

#define PAGE(x) ((x) & ~(uint64_t)4095)
#define N_LINES 512

/* The line of this file that holds file offset `off` at address `addr`, or NULL. */
static const struct line *find_line(
	const struct line *lines, unsigned n, const char *path, uint64_t addr, uint64_t off)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (addr >= lines[i].lo && addr < lines[i].hi &&
			addr - lines[i].lo + lines[i].off == off && !strcmp(lines[i].path, path))
			return &lines[i];
	return NULL;
}

/*
 * Is the file loaded with this bias? All its segments must be there: one page of a small file may
 * be mapped several times, and the emulator itself may have loaded the same file (then with
 * host-executable code).
 */
static int is_loaded(const struct line *lines, unsigned n, const char *path,
	const struct emu_elf *elf, uint64_t bias)
{
	unsigned i;

	if (elf->type == ET_EXEC && bias)
		return 0;
	for (i = 0; i < elf->n_loads; i++) {
		const struct line *l;

		if (!elf->load[i].filesz)
			continue;
		l = find_line(
			lines, n, path, bias + PAGE(elf->load[i].vaddr), PAGE(elf->load[i].offset));
		if (!l || ((elf->load[i].flags & PF_X) && l->host_exec))
			return 0;
	}
	return 1;
}

/* Records the executable segments that lie in a line (the kernel joins neighbours of equal
 * protection). */
static void maps_from_line(const struct line *lines, unsigned n, const struct line *l)
{
	struct emu_elf elf;
	unsigned i;

	if (l->host_exec || emu_elf_read(l->path, &elf) ||
		elf.machine != (R.isa == RING_ISA_AARCH64 ? EM_AARCH64 : EM_X86_64))
		return;
	for (i = 0; i < elf.n_loads; i++) {
		uint64_t from = PAGE(elf.load[i].offset), addr = l->lo + (from - l->off);
		uint64_t len = PAGE(elf.load[i].offset + elf.load[i].filesz + 4095) - from;

		if (!(elf.load[i].flags & PF_X) || from < l->off ||
			from - l->off >= l->hi - l->lo ||
			!is_loaded(lines, n, l->path, &elf, addr - PAGE(elf.load[i].vaddr)))
			continue;
		if (len > l->hi - addr)
			len = l->hi - addr;
		map_identify(map_add(addr, len, from, l->path));
	}
}

static unsigned read_lines(struct line *lines)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char text[RING_PATH_MAX + 256], path[RING_PATH_MAX], perm[8];
	unsigned n = 0;

	if (!f) {
		fputs("ring_plugin: cannot read /proc/self/maps\n", stderr);
		_exit(125);
	}
	while (n < N_LINES && fgets(text, sizeof(text), f)) {
		struct line *l = &lines[n];

		if (sscanf(text, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %1023[^\n]",
			    &l->lo, &l->hi, perm, &l->off, path) != 5 ||
			path[0] != '/')
			continue;
		l->lo -= R.guest_base;
		l->hi -= R.guest_base;
		l->host_exec = perm[2] == 'x';
		l->path = strdup(path);
		n += l->path != NULL;
	}
	fclose(f);
	return n;
}

void ring_maps_start(void)
{
	struct line *lines = ring_alloc(N_LINES * sizeof(*lines));
	unsigned n = read_lines(lines), i;

	for (i = 0; i < n; i++)
		maps_from_line(lines, n, &lines[i]);
	for (i = 0; i < n; i++)
		free(lines[i].path);
	free(lines);
	if (n_maps)
		maps[0].main = 1;
	else
		fputs("ring_plugin: found no mapping of the program\n", stderr);
}

uint64_t ring_maps_key(uint64_t addr)
{
	uint64_t h = 0;
	const char *c;
	size_t i;

	for (i = n_maps; i-- > 0;) {
		if (addr - maps[i].start >= maps[i].len)
			continue;
		for (c = strrchr(maps[i].path, '/'); c && *c; c++)
			h = ring_hash(h, (unsigned char)*c);
		return maps[i].start - maps[i].pgoff + h;
	}
	return 0;
}

int ring_is_handler(uint64_t addr)
{
	unsigned i;

	for (i = 0; i < n_handlers; i++)
		if (handlers[i] == addr)
			return 1;
	return 0;
}

static void handler_add(uint64_t act)
{
	uint64_t fn;

	if (!act)
		return;
	memcpy(&fn, (const void *)(uintptr_t)(act + R.guest_base), sizeof(fn));
	if (fn > 1 && !ring_is_handler(fn) && n_handlers < N_HANDLERS)
		handlers[n_handlers++] = fn;
}

static void map_gone(uint64_t start, uint64_t len, uint64_t now)
{
	size_t i;

	for (i = 0; i < n_maps; i++)
		if (maps[i].gone_ns == UINT64_MAX && maps[i].start >= start &&
			maps[i].start - start < len)
			maps[i].gone_ns = now;
}

static void map_made(const struct rvcpu *v, uint64_t start, uint64_t now)
{
	uint64_t len = (v->sys_arg[1] + 4095) & ~(uint64_t)4095;
	char link[32], path[RING_PATH_MAX] = "//anon";
	struct ring_map *m;
	ssize_t n;

	map_gone(start, len, now);
	if (!(v->sys_arg[2] & PROT_EXEC))
		return;
	if (!(v->sys_arg[3] & MAP_ANONYMOUS)) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", (int)v->sys_arg[4]);
		n = readlink(link, path, sizeof(path) - 1);
		if (n > 0)
			path[n] = 0;
	}
	m = map_add(start, len, path[1] == '/' ? 0 : v->sys_arg[5], path);
	m->prot = (uint32_t)v->sys_arg[2];
	m->time_ns = now;
	map_identify(m);
}

void ring_syscall(emu_qemu_id id, unsigned vcpu, int64_t num, uint64_t a1, uint64_t a2, uint64_t a3,
	uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
	struct rvcpu *v = R.vcpu[vcpu];
	const uint64_t args[6] = {a1, a2, a3, a4, a5, a6};

	(void)id;
	(void)a7;
	(void)a8;
	v->sys_num = num;
	memcpy(v->sys_arg, args, sizeof(args));
	if (num == ring_isa_sysno(R.isa)->rt_sigaction) {
		pthread_mutex_lock(&R.lock);
		handler_add(a2);
		pthread_mutex_unlock(&R.lock);
	}
}

void ring_sysret(emu_qemu_id id, unsigned vcpu, int64_t num, int64_t ret)
{
	const struct ring_sysno *no = ring_isa_sysno(R.isa);
	struct rvcpu *v = R.vcpu[vcpu];

	(void)id;
	if (num != v->sys_num)
		return;
	if (num == no->mmap && (ret > 0 || ret < -4095)) {
		pthread_mutex_lock(&R.lock);
		map_made(v, (uint64_t)ret, v->quarters / RING_QUARTERS_PER_NS);
		pthread_mutex_unlock(&R.lock);
	} else if (num == no->munmap && ret == 0) {
		pthread_mutex_lock(&R.lock);
		map_gone(v->sys_arg[0], v->sys_arg[1], v->quarters / RING_QUARTERS_PER_NS);
		pthread_mutex_unlock(&R.lock);
	} else if (ret == 0 &&
		   (num == no->clone || num == no->clone3 || num == no->fork || num == no->vfork)) {
		if ((uint32_t)getpid() != R.pid)
			ring_forked(v);
	}
}

void ring_maps_forked(void)
{
	size_t i, n = 0;

	for (i = 0; i < n_maps; i++) {
		if (maps[i].gone_ns != UINT64_MAX)
			continue;
		maps[n] = maps[i];
		maps[n++].time_ns = 0;
	}
	n_maps = n;
}

struct ring_map *ring_maps_export(uint64_t *ret_n)
{
	struct ring_map *copy = ring_alloc((n_maps + 1) * sizeof(*copy));

	memcpy(copy, maps, n_maps * sizeof(*copy));
	*ret_n = n_maps;
	return copy;
}
