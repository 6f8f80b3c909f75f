/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: what its kernel gives a process like this one.
 *
 * Asked by perf_event_open(2) itself, because a capability that is listed may still be refused: by
 * kernel.perf_event_paranoid, by a container's seccomp filter, or by a hypervisor that shows the
 * processor's name without its counters.  What a processor could do is read from its flags:
 * Intel's LBR (arch_lbr, or any GenuineIntel), AMD's LbrExtV2 (amd_lbr_v2; Zen 4 on) and BRS (brs;
 * Zen 3), Arm's BRBE (a "branches" capability of the counter device).
 */
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/doctor.h"
#include "pgo/tools.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define AREA "machine"

struct processor {
	char vendor[32], model[96];
	bool hypervisor, amd_lbr_v2, brs, arch_lbr;
};

static void copy_value(const char *line, char *ret, size_t size)
{
	const char *at = strchr(line, ':');
	size_t len;

	if (at == NULL || ret[0] != '\0')
		return;
	at += 1 + strspn(at + 1, " \t");
	len = strcspn(at, "\n");
	if (len >= size)
		len = size - 1;
	memcpy(ret, at, len);
	ret[len] = '\0';
}

static bool has_flag(const char *line, const char *flag)
{
	size_t n = strlen(flag), len = strcspn(line, "\n");
	const char *end = line + len;

	for (const char *p = line; (p = strstr(p, flag)) != NULL && p < end; p += n)
		if (p > line && p[-1] == ' ' && (p[n] == ' ' || p[n] == '\n' || p[n] == '\0'))
			return true;
	return false;
}

static void read_processor(struct processor *p)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf text;

	*p = (struct processor){0};
	pgo_buf_init(&text, (size_t)16 << 20);
	if (pgo_file_read("/proc/cpuinfo", text.max, &text, &err) == 0 && text.data != NULL)
		for (const char *line = text.data; *line != '\0';
			line += strcspn(line, "\n"), line += *line == '\n') {
			if (strncmp(line, "vendor_id", 9) == 0)
				copy_value(line, p->vendor, sizeof p->vendor);
			else if (strncmp(line, "model name", 10) == 0)
				copy_value(line, p->model, sizeof p->model);
			else if (strncmp(line, "flags", 5) == 0) {
				p->hypervisor |= has_flag(line, "hypervisor");
				p->amd_lbr_v2 |= has_flag(line, "amd_lbr_v2");
				p->brs |= has_flag(line, "brs");
				p->arch_lbr |= has_flag(line, "arch_lbr");
			}
		}
	pgo_buf_fini(&text);
}

/* The integer in a file of /proc or /sys; false if there is none. */
static bool read_int(const char *path, long *ret)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf text;
	char *end;
	bool ok;

	pgo_buf_init(&text, 4096);
	ok = pgo_file_read(path, text.max, &text, &err) == 0 && text.data != NULL;
	if (ok) {
		*ret = strtol(text.data, &end, 10);
		ok = end != text.data;
	}
	pgo_buf_fini(&text);
	return ok;
}

/* 0, or the errno with which the kernel refuses an event for this process in user mode. */
static int try_event(uint32_t type, uint64_t config, uint64_t branches)
{
	struct perf_event_attr attr = {
		.size = sizeof attr,
		.type = type,
		.config = config,
		.sample_period = 1000003,
		.sample_type = PERF_SAMPLE_IP | (branches != 0 ? PERF_SAMPLE_BRANCH_STACK : 0),
		.branch_sample_type = branches,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return errno;
	close((int)fd);
	return 0;
}

static void kernel_row(struct pgo_doctor *d, const struct processor *p)
{
	struct utsname u;

	if (uname(&u) < 0)
		return;
	if (strcmp(u.machine, "x86_64") == 0 || strcmp(u.machine, "aarch64") == 0)
		pgo_doctor_add(d, AREA, "kernel", PGO_HEALTH_GOOD,
			pgo_asprintf("%s %s on %s", u.sysname, u.release, u.machine), NULL);
	else
		pgo_doctor_add(d, AREA, "kernel", PGO_HEALTH_LACKS,
			pgo_asprintf("%s %s on %s", u.sysname, u.release, u.machine),
			pgo_strdup("programs that are profiled must be for x86-64 or AArch64; this "
				   "machine can still merge and convert"));
	pgo_doctor_add(d, AREA, "processor", PGO_HEALTH_NOTE,
		pgo_asprintf("%s%s",
			p->model[0] != '\0'    ? p->model
			: p->vendor[0] != '\0' ? p->vendor
					       : u.machine,
			p->hypervisor ? ", seen through a hypervisor" : ""),
		NULL);
}

static void paranoid_row(struct pgo_doctor *d)
{
	long level;

	if (!read_int("/proc/sys/kernel/perf_event_paranoid", &level)) {
		pgo_doctor_add(d, AREA, "perf_event_paranoid", PGO_HEALTH_LACKS,
			pgo_strdup("this kernel has no perf events, or hides them"),
			pgo_strdup("record on a host whose kernel has CONFIG_PERF_EVENTS"));
		return;
	}
	if (level <= 2 || geteuid() == 0)
		pgo_doctor_add(d, AREA, "perf_event_paranoid", PGO_HEALTH_GOOD,
			pgo_asprintf("%ld%s: %s", level,
				geteuid() == 0 && level > 2 ? ", and this is root" : "",
				level <= 0 || geteuid() == 0
					? "the whole machine can be recorded"
					: "processes of one's own can be recorded"),
			level > 0 && geteuid() != 0
				? pgo_strdup("for whole machines (perf record -a): sysctl "
					     "kernel.perf_event_paranoid=0, or CAP_PERFMON")
				: NULL);
	else
		pgo_doctor_add(d, AREA, "perf_event_paranoid", PGO_HEALTH_LACKS,
			pgo_asprintf("%ld: only root records", level),
			pgo_strdup("sysctl kernel.perf_event_paranoid=1, or give the recorder "
				   "CAP_PERFMON"));
}

/* What a refusal of a counter means. */
static const char *why_refused(int code, const struct processor *p)
{
	switch (code) {
	case EACCES:
	case EPERM:
		return "sysctl kernel.perf_event_paranoid=1, or CAP_PERFMON; in a container also a "
		       "seccomp profile that lets perf_event_open through";
	case ENOSYS:
		return "the kernel has no perf events, or a seccomp filter hides them";
	default:
		return p->hypervisor ? "the hypervisor passes no counters on: ask for a type of "
				       "machine that does (a virtual PMU), or record on metal"
				     : "the processor's counters are in use or unknown to this "
				       "kernel";
	}
}

static void counter_rows(struct pgo_doctor *d, const struct processor *p)
{
	int cycles = try_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, 0);
	int clock = try_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 0);

	if (cycles == 0)
		pgo_doctor_add(d, AREA, "hardware counters", PGO_HEALTH_GOOD,
			pgo_strdup("cycles can be sampled"), NULL);
	else
		pgo_doctor_add(d, AREA, "hardware counters", PGO_HEALTH_LACKS,
			pgo_asprintf("cycles are refused: %s", strerror(cycles)),
			pgo_strdup(why_refused(cycles, p)));
	if (clock == 0)
		pgo_doctor_add(d, AREA, "software clock", PGO_HEALTH_GOOD,
			pgo_strdup("cpu-clock can be sampled: `perf record -e cpu-clock -g` gives "
				   "profiles without branch records"),
			NULL);
	else
		pgo_doctor_add(d, AREA, "software clock", PGO_HEALTH_LACKS,
			pgo_asprintf("cpu-clock is refused: %s", strerror(clock)),
			pgo_strdup(why_refused(clock, p)));
}

static const char *could(const struct processor *p)
{
	if (p->amd_lbr_v2)
		return "the processor has AMD's LbrExtV2";
	if (p->brs)
		return "the processor has AMD's branch sampling (BRS)";
	if (p->arch_lbr || strcmp(p->vendor, "GenuineIntel") == 0)
		return "Intel processors have LBR";
	if (strcmp(p->vendor, "AuthenticAMD") == 0)
		return "AMD processors have them from Zen 3 on";
	return "of other processors those with BRBE (Arm v9.2) have them";
}

static void branch_row(struct pgo_doctor *d, const struct processor *p)
{
	int code = try_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES,
		PERF_SAMPLE_BRANCH_USER | PERF_SAMPLE_BRANCH_ANY);
	char *mend;
	long depth;

	if (code == 0) {
		if (!read_int("/sys/bus/event_source/devices/cpu/caps/branches", &depth))
			depth = 0;
		pgo_doctor_add(d, AREA, "branch records", PGO_HEALTH_GOOD,
			depth > 0 ? pgo_asprintf(
					    "`perf record -b` works, %ld branches a sample", depth)
				  : pgo_strdup("`perf record -b` works"),
			NULL);
		return;
	}
	mend = pgo_asprintf("%s%s; profiles without them are converted too, by estimation "
			    "(pgo-convert(1))",
		p->hypervisor ? "record on metal, or on a virtual machine whose PMU passes them "
				"on: "
			      : "",
		could(p));
	pgo_doctor_add(d, AREA, "branch records", PGO_HEALTH_LACKS,
		pgo_asprintf("refused: %s", strerror(code)), mend);
}

/* Other ways to sample, where their devices are. */
static void device_rows(struct pgo_doctor *d)
{
	static const struct {
		const char *path, *what, *found;
	} devices[] = {
		{"/sys/bus/event_source/devices/ibs_op", "AMD IBS",
			"there: exact instruction samples by `perf record -e ibs_op//`; it has no "
			"branch records"},
		{"/sys/bus/event_source/devices/arm_spe_0", "Arm SPE",
			"there; its records are not read, use BRBE or plain samples"},
		{"/sys/bus/event_source/devices/cs_etm", "Arm ETM",
			"there; its traces are not read, use BRBE or plain samples"},
	};

	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
		if (pgo_path_exists(devices[i].path))
			pgo_doctor_add(d, AREA, devices[i].what, PGO_HEALTH_NOTE,
				pgo_strdup(devices[i].found), NULL);
}

static void perf_row(struct pgo_doctor *d)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_tool t;

	if (pgo_tool_find("perf", &t, &err) < 0) {
		pgo_doctor_add(d, AREA, "perf", PGO_HEALTH_NOTE, pgo_strdup("not here"),
			pgo_strdup("to record on this machine: apt-get install linux-perf; pgo "
				   "reads its files without it"));
		return;
	}
	pgo_doctor_add(
		d, AREA, "perf", PGO_HEALTH_GOOD, pgo_asprintf("%s: %s", t.path, t.says), NULL);
	pgo_tool_fini(&t);
}

void pgo_doctor_machine(struct pgo_doctor *d)
{
	struct processor p;

	read_processor(&p);
	kernel_row(d, &p);
	paranoid_row(d);
	counter_rows(d, &p);
	branch_row(d, &p);
	device_rows(d);
	perf_row(d);
}
