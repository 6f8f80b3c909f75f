/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/noreturn.h"

#include "convert/codefns.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* Sorted.  C and C++ run-time libraries, and what Rust's programs end in. */
static const char *const names[] = {"_Exit", "_Unwind_Resume", "_ZSt10unexpectedv",
	"_ZSt16__throw_bad_castv", "_ZSt17__throw_bad_allocv", "_ZSt19__throw_logic_errorPKc",
	"_ZSt19__throw_range_errorPKc", "_ZSt20__throw_length_errorPKc",
	"_ZSt20__throw_out_of_rangePKc", "_ZSt20__throw_system_errori",
	"_ZSt21__throw_runtime_errorPKc", "_ZSt24__throw_invalid_argumentPKc",
	"_ZSt24__throw_out_of_range_fmtPKcz", "_ZSt25__throw_bad_function_callv",
	"_ZSt28__throw_bad_array_new_lengthv", "_ZSt9terminatev", "__assert", "__assert_fail",
	"__assert_perror_fail", "__chk_fail", "__cxa_bad_cast", "__cxa_bad_typeid",
	"__cxa_call_unexpected", "__cxa_pure_virtual", "__cxa_rethrow", "__cxa_throw",
	"__cxa_throw_bad_array_new_length", "__fortify_fail", "__libc_fatal", "__longjmp_chk",
	"__stack_chk_fail", "_exit", "_longjmp", "abort", "err", "errx", "exit", "longjmp",
	"pthread_exit", "quick_exit", "rust_begin_unwind", "rust_panic", "siglongjmp", "thrd_exit",
	"verr", "verrx"};

static int compare_names(const void *key, const void *name)
{
	return strcmp(key, *(const char *const *)name);
}

static bool known_name(const char *name)
{
	return bsearch(name, names, sizeof names / sizeof *names, sizeof *names, compare_names) !=
	       NULL;
}

void pgo_noreturn_init(
	struct pgo_noreturn *n, const struct pgo_elf *symbols, const struct pgo_elf *code)
{
	*n = (struct pgo_noreturn){.symbols = symbols, .code = code};
	pgo_map_init(&n->map);
}

void pgo_noreturn_fini(struct pgo_noreturn *n)
{
	for (size_t i = 0; i < PGO_NORETURN_DEPTH; i++) {
		pgo_cfg_fini(&n->level[i].cfg);
		pgo_free(n->level[i].todo);
		pgo_free(n->level[i].seen);
	}
	pgo_free(n->answers);
	pgo_map_fini(&n->map);
	*n = (struct pgo_noreturn){0};
}

static int ask(
	struct pgo_noreturn *n, uint64_t entry, size_t depth, bool *ret, struct pgo_err *err);

static int push(struct pgo_noreturn *n, size_t depth, uint32_t insn)
{
	uint32_t *to;

	if (insn == UINT32_MAX || n->level[depth].seen[insn])
		return 0;
	n->level[depth].seen[insn] = true;
	to = PGO_VEC_PUSH(n->level[depth].todo, n->level[depth].n_todo, n->level[depth].todo_room);
	if (to == NULL)
		return -1;
	*to = insn;
	return 0;
}

/* Pushes what can follow instruction i; *ret_leaves if the function may be left by returning. */
static int follow(
	struct pgo_noreturn *n, size_t depth, uint32_t i, bool *ret_leaves, struct pgo_err *err)
{
	const struct pgo_cfg *c = &n->level[depth].cfg;
	const struct pgo_insn *p = &c->insns[i];
	bool out = p->target < c->start || p->target >= c->end, dead = false;
	int rc = 0;

	switch (p->kind) {
	case PGO_INSN_RET:
		*ret_leaves = true;
		return 0;
	case PGO_INSN_TRAP:
		return 0;
	case PGO_INSN_JUMP_INDIRECT:
		*ret_leaves = true;
		for (size_t k = 0; k < c->n_cases && rc == 0; k++) {
			if (c->cases[k].jump != i)
				continue;
			*ret_leaves = false;
			rc = push(n, depth, pgo_cfg_at(c, c->cases[k].target));
		}
		return rc < 0 ? pgo_err_nomem(err) : 0;
	case PGO_INSN_JUMP:
	case PGO_INSN_COND:
	case PGO_INSN_CALL:
		if (p->kind == PGO_INSN_CALL || out) {
			rc = ask(n, p->target, depth + 1, &dead, err);
			if (rc < 0)
				return rc;
			*ret_leaves = !dead && p->kind != PGO_INSN_CALL;
		} else if (push(n, depth, pgo_cfg_at(c, p->target)) < 0) {
			return pgo_err_nomem(err);
		}
		if (p->kind == PGO_INSN_JUMP || (p->kind == PGO_INSN_CALL && dead))
			return 0;
		break;
	default:
		break;
	}
	if (i + 1 == c->n_insns)
		*ret_leaves = true;
	else if (push(n, depth, i + 1) < 0)
		return pgo_err_nomem(err);
	return 0;
}

static int look(struct pgo_noreturn *n, const struct pgo_symbol *s, size_t depth, bool *ret,
	struct pgo_err *err)
{
	struct pgo_cfg *c = &n->level[depth].cfg;
	bool leaves = false;
	int rc;

	rc = pgo_cfg_decode(c, n->code, s->addr, s->addr + s->size, NULL, 0, err);
	if (rc < 0 || c->n_insns == 0)
		return rc;
	if (PGO_VEC_RESERVE(n->level[depth].seen, n->level[depth].seen_room, c->n_insns) < 0)
		return pgo_err_nomem(err);
	memset(n->level[depth].seen, 0, c->n_insns);
	n->level[depth].n_todo = 0;
	if (push(n, depth, 0) < 0)
		return pgo_err_nomem(err);
	while (n->level[depth].n_todo != 0 && !leaves && rc == 0)
		rc = follow(n, depth, n->level[depth].todo[--n->level[depth].n_todo], &leaves, err);
	*ret = !leaves;
	return rc;
}

static int ask(struct pgo_noreturn *n, uint64_t entry, size_t depth, bool *ret, struct pgo_err *err)
{
	const struct pgo_plt *plt = pgo_plt_at(n->code, entry);
	const struct pgo_symbol *s;
	struct pgo_noreturn_answer *a;
	uint32_t i;
	int rc = 0;

	*ret = false;
	if (plt != NULL) {
		*ret = known_name(plt->name);
		return 0;
	}
	i = pgo_map_find_key(&n->map, n->answers, sizeof *n->answers, &entry, sizeof entry);
	if (i != PGO_MAP_NONE) {
		*ret = n->answers[i].yes;
		return 0;
	}
	s = pgo_elf_symbol(n->symbols, entry);
	if (s == NULL || s->addr != entry || depth >= PGO_NORETURN_DEPTH)
		return 0;
	a = PGO_VEC_PUSH(n->answers, n->n_answers, n->answers_room);
	if (a == NULL)
		return pgo_err_nomem(err);
	a->entry = entry; /* a function that calls itself is taken to return from that */
	i = (uint32_t)(n->n_answers - 1);
	if (pgo_map_add_key(&n->map, &entry, sizeof entry, i) < 0)
		return pgo_err_nomem(err);
	if (known_name(s->name))
		*ret = true;
	else if (s->size != 0 && s->size <= PGO_NORETURN_SIZE)
		rc = look(n, s, depth, ret, err);
	n->answers[i].yes = *ret;
	return rc;
}

int pgo_noreturn_find(struct pgo_noreturn *n, uint64_t entry, bool *ret, struct pgo_err *err)
{
	return ask(n, entry, 0, ret, err);
}
