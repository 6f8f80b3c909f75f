/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who had what mapped.  A fork copies the parent's maps (shared until one side changes them), an
 * exec empties them, a new map replaces what it overlaps.  Threads share their process's maps; the
 * process's name is that of its first thread.
 */
#include "fetch/import_impl.h"
#include "pgo/core/vec.h"

#include <string.h>

/* Maps of all processes together: what a hostile recording runs into. */
#define MAPS_MAX ((size_t)1 << 24)
/* One map of a file; anything longer is no file's. */
#define MAP_MAX ((uint64_t)1 << 40)
#define PROCESSES_MAX ((size_t)1 << 24)

int pgo_imp_space_init(struct pgo_imp *imp, struct pgo_err *err)
{
	pgo_map_init(&imp->image_map);
	pgo_map_init(&imp->window_map);
	pgo_map_init(&imp->process_map);
	pgo_map_init(&imp->group_map);
	imp->last_process = PGO_NONE;
	if (pgo_strtab_init(&imp->strs, (size_t)1 << 30) < 0 ||
		PGO_VEC_PUSH(imp->windows, imp->n_windows, imp->windows_room) == NULL)
		return pgo_err_nomem(err);
	return 0;
}

static void drop_maps(struct pgo_imp *imp, struct pgo_imp_process *p)
{
	imp->changes++;
	if (p->maps == NULL)
		return;
	if (--p->maps->refs == 0) {
		imp->n_maps -= p->maps->n;
		pgo_free(p->maps->map);
		pgo_free(p->maps);
	}
	p->maps = NULL;
}

void pgo_imp_group_fini(struct pgo_imp_group *g)
{
	pgo_free(g->traces);
	pgo_free(g->executions);
	pgo_free(g->slots);
	pgo_free(g->stacks);
	pgo_free(g->points);
	pgo_map_fini(&g->stack_map);
}

void pgo_imp_space_fini(struct pgo_imp *imp)
{
	for (size_t i = 0; i < imp->n_processes; i++)
		drop_maps(imp, &imp->processes[i]);
	for (size_t i = 0; i < imp->n_groups; i++)
		pgo_imp_group_fini(&imp->groups[i]);
	pgo_free(imp->groups);
	pgo_free(imp->processes);
	pgo_free(imp->windows);
	pgo_free(imp->images);
	pgo_map_fini(&imp->image_map);
	pgo_map_fini(&imp->window_map);
	pgo_map_fini(&imp->process_map);
	pgo_map_fini(&imp->group_map);
	pgo_strtab_fini(&imp->strs);
}

struct pgo_imp_process *pgo_imp_process(struct pgo_imp *imp, int32_t pid, struct pgo_err *err)
{
	struct pgo_imp_process *p;
	uint32_t i = imp->last_process;

	if (i != PGO_NONE && imp->processes[i].pid == pid)
		return &imp->processes[i];
	i = pgo_map_find_key(
		&imp->process_map, imp->processes, sizeof *imp->processes, &pid, sizeof pid);
	if (i == PGO_MAP_NONE) {
		if (imp->n_processes >= PROCESSES_MAX) {
			pgo_err_set(err, PGO_ELIMIT, "more than %zu processes", PROCESSES_MAX);
			return NULL;
		}
		i = (uint32_t)imp->n_processes;
		p = PGO_VEC_PUSH(imp->processes, imp->n_processes, imp->processes_room);
		if (p == NULL || pgo_map_add_key(&imp->process_map, &pid, sizeof pid, i) < 0) {
			pgo_err_nomem(err);
			return NULL;
		}
		p->pid = pid;
		p->main_image = p->group = PGO_NONE;
	}
	imp->last_process = i;
	return &imp->processes[i];
}

/* Memory that is executable but is no file whose code anyone could look up. */
static bool is_file(const char *name)
{
	static const char *const not_files[] = {
		"//", "/dev/", "/memfd:", "/SYSV", "/anon_hugepage", "/drm", "/i915", "["};

	if (strcmp(name, "[vdso]") == 0)
		return true;
	if (name[0] == '\0' || strcmp(name, "anon") == 0)
		return false;
	for (size_t i = 0; i < sizeof not_files / sizeof not_files[0]; i++)
		if (strncmp(name, not_files[i], strlen(not_files[i])) == 0)
			return false;
	return true;
}

static uint32_t add_str(struct pgo_imp *imp, const char *s, size_t len, struct pgo_err *err)
{
	uint32_t id = pgo_strtab_add(&imp->strs, s, len);

	if (id == PGO_STR_NONE)
		pgo_err_nomem(err);
	return id;
}

static uint32_t add_image(struct pgo_imp *imp, const struct pgo_rec_map *m, struct pgo_err *err)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(m->filename), n = sizeof deleted - 1;
	struct pgo_imp_image *image;
	uint32_t key[2], i;

	if (len > n && strcmp(m->filename + len - n, deleted) == 0)
		len -= n;
	key[0] = add_str(imp, m->filename, len, err);
	key[1] = add_str(imp, m->build_id, strlen(m->build_id), err);
	if (key[0] == PGO_STR_NONE || key[1] == PGO_STR_NONE)
		return PGO_NONE;
	i = pgo_map_find_key(&imp->image_map, imp->images, sizeof *imp->images, key, sizeof key);
	if (i == PGO_MAP_NONE) {
		i = (uint32_t)imp->n_images;
		image = PGO_VEC_PUSH(imp->images, imp->n_images, imp->images_room);
		if (image == NULL || pgo_map_add_key(&imp->image_map, key, sizeof key, i) < 0) {
			pgo_err_nomem(err);
			return PGO_NONE;
		}
		image->filename = key[0];
		image->build_id = key[1];
		image->low = UINT64_MAX;
	}
	image = &imp->images[i];
	if (m->pgoff < image->low)
		image->low = m->pgoff;
	if (m->pgoff + m->len > image->high)
		image->high = m->pgoff + m->len;
	return i;
}

static uint32_t add_window(struct pgo_imp *imp, uint32_t image, uint64_t pgoff, struct pgo_err *err)
{
	struct pgo_imp_window key = {image, (uint32_t)(pgoff >> WINDOW_BITS)}, *w;
	uint32_t i = pgo_map_find_key(
		&imp->window_map, imp->windows, sizeof *imp->windows, &key, sizeof key);

	if (i != PGO_MAP_NONE)
		return i;
	i = (uint32_t)imp->n_windows;
	w = PGO_VEC_PUSH(imp->windows, imp->n_windows, imp->windows_room);
	if (w == NULL || pgo_map_add_key(&imp->window_map, &key, sizeof key, i) < 0) {
		pgo_err_nomem(err);
		return PGO_NONE;
	}
	*w = key;
	return i;
}

/* The process's own copy of its maps, to change. */
static struct pgo_imp_maps *own_maps(
	struct pgo_imp *imp, struct pgo_imp_process *p, struct pgo_err *err)
{
	struct pgo_imp_maps *old = p->maps, *new;

	if (old != NULL && old->refs == 1)
		return old;
	new = pgo_calloc(1, sizeof *new);
	if (new == NULL || (old != NULL && PGO_VEC_RESERVE(new->map, new->room, old->n + 1) < 0)) {
		pgo_free(new);
		pgo_err_nomem(err);
		return NULL;
	}
	new->refs = 1;
	if (old != NULL) {
		memcpy(new->map, old->map, old->n * sizeof *old->map);
		new->n = old->n;
		imp->n_maps += old->n;
		old->refs--;
	}
	p->maps = new;
	return new;
}

/* The first map that ends after `addr`. */
static size_t find_map(const struct pgo_imp_maps *maps, uint64_t addr)
{
	size_t lo = 0, n = maps->n;

	while (n > 0) {
		size_t half = n / 2;

		if (addr - maps->map[lo + half].start >= maps->map[lo + half].len &&
			addr >= maps->map[lo + half].start) {
			lo += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return lo;
}

static int insert_map(struct pgo_imp *imp, struct pgo_imp_maps *maps, size_t at,
	struct pgo_imp_map m, struct pgo_err *err)
{
	if (imp->n_maps >= MAPS_MAX)
		return pgo_err_set(
			err, PGO_ELIMIT, "the processes have more than %zu files mapped", MAPS_MAX);
	if (PGO_VEC_RESERVE(maps->map, maps->room, maps->n + 1) < 0)
		return pgo_err_nomem(err);
	memmove(&maps->map[at + 1], &maps->map[at], (maps->n - at) * sizeof *maps->map);
	maps->map[at] = m;
	maps->n++;
	imp->n_maps++;
	return 0;
}

/* Cuts [start, start + len) out of what is mapped. */
static int cut_out(struct pgo_imp *imp, struct pgo_imp_maps *maps, uint64_t start, uint64_t len,
	struct pgo_err *err)
{
	size_t i = find_map(maps, start);
	uint64_t end = start + len;

	while (i < maps->n && maps->map[i].start < end) {
		struct pgo_imp_map *m = &maps->map[i];
		uint64_t m_end = m->start + m->len;

		if (m->start < start && m_end > end) { /* leaves two */
			struct pgo_imp_map upper = {end, m_end - end, m->base};

			m->len = start - m->start;
			return insert_map(imp, maps, i + 1, upper, err);
		}
		if (m->start < start) {
			m->len = start - m->start;
			i++;
		} else if (m_end > end) {
			m->len = m_end - end;
			m->start = end;
			return 0;
		} else {
			memmove(m, m + 1, (maps->n - i - 1) * sizeof *m);
			maps->n--;
			imp->n_maps--;
		}
	}
	return 0;
}

int pgo_imp_on_map(void *ctx, const struct pgo_rec_map *m, struct pgo_err *err)
{
	struct pgo_imp *imp = ctx;
	struct pgo_imp_process *p;
	struct pgo_imp_maps *maps;
	uint32_t image;
	int rc;

	/* Nothing in the upper half is a user's; a length that wraps is no length. */
	if (m->len == 0 || m->addr >> 63 != 0 || (m->addr + m->len) >> 63 != 0 ||
		m->pgoff >> 62 != 0)
		return 0;
	p = pgo_imp_process(imp, m->pid, err);
	maps = p != NULL ? own_maps(imp, p, err) : NULL;
	if (maps == NULL)
		return PGO_ENOMEM;
	imp->changes++;
	rc = cut_out(imp, maps, m->addr, m->len, err);
	if (rc < 0 || !is_file(m->filename) || m->len > MAP_MAX)
		return rc;
	image = add_image(imp, m, err);
	if (image == PGO_NONE)
		return PGO_ENOMEM;
	if (p->main_image == PGO_NONE) {
		p->main_image = image;
		p->group = PGO_NONE;
	}
	for (uint64_t done = 0; done < m->len && rc == 0;) { /* once, but for giants */
		uint64_t pgoff = m->pgoff + done, room = WINDOW_MASK + 1 - (pgoff & WINDOW_MASK);
		uint64_t len = m->len - done < room ? m->len - done : room;
		uint64_t start = m->addr + done;
		uint32_t window = add_window(imp, image, pgoff, err);
		struct pgo_imp_map new = {
			start, len, ((uint64_t)window << 32) + (pgoff & WINDOW_MASK) - start};

		if (window == PGO_NONE)
			return PGO_ENOMEM;
		rc = insert_map(imp, maps, find_map(maps, start), new, err);
		done += len;
	}
	return rc;
}

static int set_comm(
	struct pgo_imp *imp, struct pgo_imp_process *p, const char *comm, struct pgo_err *err)
{
	p->comm = add_str(imp, comm, strlen(comm), err);
	p->group = PGO_NONE;
	return p->comm == PGO_STR_NONE ? PGO_ENOMEM : 0;
}

static int fork_process(struct pgo_imp *imp, const struct pgo_rec_task *t, struct pgo_err *err)
{
	struct pgo_imp_process *parent, *child;
	uint32_t comm, main_image;
	struct pgo_imp_maps *maps;

	if (t->pid == t->ppid) /* a thread */
		return 0;
	parent = pgo_imp_process(imp, t->ppid, err);
	if (parent == NULL)
		return PGO_ENOMEM;
	comm = parent->comm;
	main_image = parent->main_image;
	maps = parent->maps;
	if (maps != NULL)
		maps->refs++;
	child = pgo_imp_process(imp, t->pid, err); /* moves the parent */
	if (child == NULL) {
		if (maps != NULL)
			maps->refs--;
		return PGO_ENOMEM;
	}
	drop_maps(imp, child);
	child->maps = maps;
	child->comm = comm;
	child->main_image = main_image;
	child->group = PGO_NONE;
	return 0;
}

int pgo_imp_on_task(void *ctx, const struct pgo_rec_task *t, struct pgo_err *err)
{
	struct pgo_imp *imp = ctx;
	struct pgo_imp_process *p;

	switch (t->kind) {
	case PGO_TASK_FORK:
		return fork_process(imp, t, err);
	case PGO_TASK_EXEC:
	case PGO_TASK_COMM:
		p = pgo_imp_process(imp, t->pid, err);
		if (p == NULL)
			return PGO_ENOMEM;
		if (t->kind == PGO_TASK_EXEC) {
			drop_maps(imp, p);
			p->main_image = PGO_NONE;
		} else if (t->pid != t->tid) {
			return 0;
		}
		return set_comm(imp, p, t->comm, err);
	case PGO_TASK_EXIT: /* what it had is needed by samples of the same moment */
	default:
		return 0;
	}
}

int pgo_imp_on_build_id(void *ctx, const char *filename, const char *build_id, struct pgo_err *err)
{
	struct pgo_imp *imp = ctx;
	uint32_t name = add_str(imp, filename, strlen(filename), err);
	uint32_t key[2] = {name, 0}, i, id;

	if (name == PGO_STR_NONE)
		return PGO_ENOMEM;
	/* An image of that name without a build-id of its own; made if it is mapped later. */
	i = pgo_map_find_key(&imp->image_map, imp->images, sizeof *imp->images, key, sizeof key);
	if (i == PGO_MAP_NONE) {
		struct pgo_imp_image *image;

		i = (uint32_t)imp->n_images;
		image = PGO_VEC_PUSH(imp->images, imp->n_images, imp->images_room);
		if (image == NULL || pgo_map_add_key(&imp->image_map, key, sizeof key, i) < 0)
			return pgo_err_nomem(err);
		image->filename = name;
		image->low = UINT64_MAX;
	}
	id = add_str(imp, build_id, strlen(build_id), err);
	if (id == PGO_STR_NONE)
		return PGO_ENOMEM;
	imp->images[i].late_build_id = id;
	return 0;
}

uint64_t pgo_imp_point_slow(const struct pgo_imp *imp, struct pgo_imp_view *v, uint64_t addr)
{
	const struct pgo_imp_maps *maps = imp->processes[v->process].maps;
	size_t i;

	if (addr == 0)
		return POINT_ZERO;
	/* Bit 55 tells the halves of the address space apart; user code may be named with a tag in
	 * the top byte (Arm). */
	if ((addr >> 55 & 1) != 0)
		return POINT_KERNEL;
	if (addr >> 56 != 0)
		return pgo_imp_point(imp, v, addr & (((uint64_t)1 << 56) - 1));
	if (maps == NULL)
		return POINT_UNMAPPED;
	i = find_map(maps, addr);
	if (i == maps->n || addr < maps->map[i].start)
		return POINT_UNMAPPED;
	v->before = v->last;
	v->last = maps->map[i];
	return addr + v->last.base;
}

struct pgo_imp_view *pgo_imp_view(const struct pgo_imp *imp, struct pgo_imp_lane *lane, int32_t pid)
{
	struct pgo_imp_view *v = &lane->views[(uint32_t)pid % PGO_IMP_VIEWS];
	uint32_t i;

	if (v->filled && v->pid == pid && v->changes == imp->changes)
		return v;
	i = pgo_map_find_key(
		&imp->process_map, imp->processes, sizeof *imp->processes, &pid, sizeof pid);
	if (i == PGO_MAP_NONE)
		return NULL;
	*v = (struct pgo_imp_view){
		.pid = pid, .process = i, .changes = imp->changes, .filled = true};
	return v;
}

struct pgo_imp_group *pgo_imp_group(
	struct pgo_imp *imp, struct pgo_imp_process *p, struct pgo_err *err)
{
	uint32_t key[2] = {p->comm, p->main_image};
	struct pgo_imp_group *g;

	if (p->group != PGO_NONE)
		return &imp->groups[p->group];
	if (!imp->o->split_processes) {
		key[0] = 0;
		key[1] = PGO_NONE;
	}
	p->group = pgo_map_find_key(
		&imp->group_map, imp->groups, sizeof *imp->groups, key, sizeof key);
	if (p->group != PGO_MAP_NONE)
		return &imp->groups[p->group];
	g = PGO_VEC_PUSH(imp->groups, imp->n_groups, imp->groups_room);
	if (g == NULL || pgo_map_add_key(&imp->group_map, key, sizeof key,
				 (uint32_t)(imp->n_groups - 1)) < 0) {
		pgo_err_nomem(err);
		return NULL;
	}
	g->comm = key[0];
	g->main_image = key[1];
	p->group = (uint32_t)(imp->n_groups - 1);
	return g;
}
