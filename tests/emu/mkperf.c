/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkperf: turns dumps of ring_plugin into the files that profilers write, so that readers of them
 * can be tested on a machine without branch records. The branches in them really ran; what else is
 * true and what is a model is said in ringdump.h. usage() lists the options.
 *
 * perf.data written here differs from perf's own in: no CPU numbers, no synthesized threads and
 * kernel mappings, one build-id per file whether sampled or not, pids, clocks and load addresses as
 * asked for.
 */
#include "mkrecords.h"
#include "perftext.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum form { FORM_PERF, FORM_TEXT, FORM_AUTOFDO, FORM_UNSYMBOLIZED, FORM_PREAGG_T, FORM_PREAGG_BF };

struct options {
	struct plan_options plan;
	struct mk_options mk;
	const char *binary;
	enum form form;
};

static const char usage_text[] =
	"usage: mkperf [options] -o OUT DUMP...\n"
	"what is written\n"
	"  --mode M         lbr (default), ip, callchain, lbr+callchain, callstack\n"
	"  --event NAME     as perf calls it; default from the dump's event. cycles:u branches:u\n"
	"                   instructions:u br_inst_retired.near_taken:u cpu-clock task-clock "
	"rHEX[:u]\n"
	"  --max-samples K  random subset of K samples\n"
	"  --kernel-noise P per cent of ring entries preceded by an interrupt\n"
	"  --brbe           as Arm's branch record buffer: with --kernel-noise, interrupts and "
	"returns\n"
	"                   whose kernel side is 0; branch types, privilege\n"
	"  --trace          rings as perf inject makes them of an instruction trace (Arm ETM, "
	"Intel PT)\n"
	"  --weight N       multiplies the samples' periods\n"
	"processes\n"
	"  --processes N    each dump N times, with pids, clocks, load addresses of their own\n"
	"  --pid P  --comm NAME  --host NAME  --rename OLD=NEW (a mapped path)\n"
	"  --aslr SEED      random load addresses; --base ADDR  load address of the program\n"
	"  --start-time S   wall clock of the start, seconds since the epoch\n"
	"  --seed N         for all random choices\n"
	"form\n"
	"  --pipe  --compress  --big-endian  --hw-idx  --save-type  --build-id header|mmap|none\n"
	"  --text           as perf script -F ip,brstack prints it\n"
	"  --autofdo-text   ranges, addresses, branches by file offset\n"
	"  --unsymbolized   ranges and branches by virtual address\n"
	"  --preagg[=bf]    BOLT's pre-aggregated T records, or B and F\n"
	"  --binary PATH    of the last three; default the program itself\n";

static _Noreturn void usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static void write_text(const struct options *o, const struct plan *plan)
{
	static const enum text_form forms[] = {[FORM_AUTOFDO] = TEXT_AUTOFDO,
		[FORM_UNSYMBOLIZED] = TEXT_UNSYMBOLIZED,
		[FORM_PREAGG_T] = TEXT_PREAGG_T,
		[FORM_PREAGG_BF] = TEXT_PREAGG_BF};
	FILE *f = strcmp(o->mk.out, "-") ? fopen(o->mk.out, "we") : stdout;

	if (!f) {
		perror(o->mk.out);
		exit(1);
	}
	if (o->form == FORM_TEXT)
		text_brstack(f, plan, o->mk.mode == MK_IP, o->mk.save_type);
	else
		text_counts(f, plan, o->binary, forms[o->form]);
	if (fflush(f) || ferror(f) || (f != stdout && fclose(f))) {
		perror(o->mk.out);
		exit(1);
	}
}

static int pick(const char *text, const char *const *names)
{
	int i;

	for (i = 0; names[i]; i++)
		if (!strcmp(text, names[i]))
			return i;
	usage();
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (!*text || *end)
		usage();
	return n;
}

enum {
	OPT_MODE = 256,
	OPT_EVENT,
	OPT_MAX,
	OPT_NOISE,
	OPT_WEIGHT,
	OPT_BRBE,
	OPT_TRACE,
	OPT_PROCESSES,
	OPT_PID,
	OPT_COMM,
	OPT_HOST,
	OPT_RENAME,
	OPT_ASLR,
	OPT_BASE,
	OPT_START,
	OPT_SEED,
	OPT_PIPE,
	OPT_COMPRESS,
	OPT_BIG,
	OPT_HWIDX,
	OPT_TYPE,
	OPT_IDS,
	OPT_TEXT,
	OPT_AUTOFDO,
	OPT_UNSYM,
	OPT_PREAGG,
	OPT_BINARY,
};

static const struct option long_options[] = {{"mode", 1, 0, OPT_MODE}, {"event", 1, 0, OPT_EVENT},
	{"max-samples", 1, 0, OPT_MAX}, {"kernel-noise", 1, 0, OPT_NOISE},
	{"weight", 1, 0, OPT_WEIGHT}, {"brbe", 0, 0, OPT_BRBE}, {"trace", 0, 0, OPT_TRACE},
	{"processes", 1, 0, OPT_PROCESSES}, {"pid", 1, 0, OPT_PID}, {"comm", 1, 0, OPT_COMM},
	{"host", 1, 0, OPT_HOST}, {"rename", 1, 0, OPT_RENAME}, {"aslr", 1, 0, OPT_ASLR},
	{"base", 1, 0, OPT_BASE}, {"start-time", 1, 0, OPT_START}, {"seed", 1, 0, OPT_SEED},
	{"pipe", 0, 0, OPT_PIPE}, {"compress", 0, 0, OPT_COMPRESS}, {"big-endian", 0, 0, OPT_BIG},
	{"hw-idx", 0, 0, OPT_HWIDX}, {"save-type", 0, 0, OPT_TYPE}, {"build-id", 1, 0, OPT_IDS},
	{"text", 0, 0, OPT_TEXT}, {"autofdo-text", 0, 0, OPT_AUTOFDO},
	{"unsymbolized", 0, 0, OPT_UNSYM}, {"preagg", 2, 0, OPT_PREAGG},
	{"binary", 1, 0, OPT_BINARY}, {0, 0, 0, 0}};

static void set_rename(struct options *o, char *text)
{
	char *eq = strchr(text, '=');

	if (!eq)
		usage();
	*eq = 0;
	o->plan.rename_from = text;
	o->plan.rename_to = eq + 1;
}

static void set_option(struct options *o, int c)
{
	static const char *const modes[] = {
		"lbr", "ip", "callchain", "lbr+callchain", "callstack", NULL};
	static const char *const ids[] = {"header", "mmap", "none", NULL};

	switch (c) {
	case 'o':
		o->mk.out = optarg;
		break;
	case OPT_MODE:
		o->mk.mode = (enum mk_mode)pick(optarg, modes);
		break;
	case OPT_EVENT:
		o->mk.event = optarg;
		break;
	case OPT_MAX:
		o->plan.max_samples = number(optarg);
		break;
	case OPT_NOISE:
		o->plan.kernel_noise = (unsigned)number(optarg);
		break;
	case OPT_WEIGHT:
		o->mk.weight = number(optarg);
		break;
	case OPT_BRBE:
		o->plan.brbe = o->mk.brbe = o->mk.save_type = 1;
		break;
	case OPT_TRACE:
		o->mk.trace = 1;
		break;
	case OPT_PROCESSES:
		o->plan.processes = (unsigned)number(optarg);
		break;
	case OPT_PID:
		o->plan.pid = (uint32_t)number(optarg);
		break;
	case OPT_COMM:
		o->plan.comm = optarg;
		break;
	case OPT_HOST:
		o->mk.host = optarg;
		break;
	case OPT_RENAME:
		set_rename(o, optarg);
		break;
	case OPT_ASLR:
		o->plan.aslr = number(optarg);
		break;
	case OPT_BASE:
		o->plan.base = number(optarg);
		break;
	case OPT_START:
		o->mk.start_ns = number(optarg) * 1000000000u;
		break;
	case OPT_SEED:
		o->plan.seed = number(optarg);
		break;
	case OPT_PIPE:
		o->mk.pipe = 1;
		break;
	case OPT_COMPRESS:
		o->mk.compress = 1;
		break;
	case OPT_BIG:
		o->mk.big = 1;
		break;
	case OPT_HWIDX:
		o->mk.hw_index = 1;
		break;
	case OPT_TYPE:
		o->mk.save_type = 1;
		break;
	case OPT_IDS:
		o->mk.ids = (enum mk_ids)pick(optarg, ids);
		break;
	case OPT_TEXT:
		o->form = FORM_TEXT;
		break;
	case OPT_AUTOFDO:
		o->form = FORM_AUTOFDO;
		break;
	case OPT_UNSYM:
		o->form = FORM_UNSYMBOLIZED;
		break;
	case OPT_PREAGG:
		o->form = optarg && !strcmp(optarg, "bf") ? FORM_PREAGG_BF : FORM_PREAGG_T;
		break;
	case OPT_BINARY:
		o->binary = optarg;
		break;
	default:
		usage();
	}
}

int main(int argc, char **argv)
{
	struct options o = {.mk = {.weight = 1},
		.plan = {.seed = 1, .processes = 1, .mono_ns = 1000000000000u}};
	struct plan plan;
	int c;

	while ((c = getopt_long(argc, argv, "o:", long_options, NULL)) != -1)
		set_option(&o, c);
	if (optind == argc || !o.mk.out || !o.plan.processes || !o.mk.weight)
		usage();
	plan_make(&plan, &o.plan, argv + optind, (unsigned)(argc - optind));
	if (o.form == FORM_PERF)
		mk_write_perf(&o.mk, &plan);
	else
		write_text(&o, &plan);
	plan_free(&plan);
	return 0;
}
