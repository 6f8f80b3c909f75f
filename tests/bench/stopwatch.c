/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure [-c] COMMAND...: runs it and prints "SECONDS PEAK_KIB" on stderr's end, with -c "SECONDS PEAK_KIB
 * CPU_SECONDS", with -r "SECONDS PEAK_KIB CPU_SECONDS READ_BYTES" (by read and its like, from wherever); its exit
 * code.  The processes that it starts and waits for count as well: the time of all, the
 * memory of the largest.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a process that has ended, and is not forgotten yet, and those it waited for, have read. */
static unsigned long long bytes_read(pid_t pid)
{
	unsigned long long n = 0;
	siginfo_t info;
	char path[64];
	FILE *f;

	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
	f = fopen(path, "r");
	if (f == NULL || fscanf(f, "rchar: %llu", &n) != 1)
		n = 0;
	if (f != NULL)
		fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	unsigned long long n_read = 0;
	struct timespec from, to;
	struct rusage use;
	int status;
	pid_t pid;

	int reads = argc > 1 && strcmp(argv[1], "-r") == 0;
	int cpu = reads || (argc > 1 && strcmp(argv[1], "-c") == 0);

	argc -= cpu;
	argv += cpu;
	if (argc < 2)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &from);
	pid = fork();
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (pid > 0 && reads)
		n_read = bytes_read(pid);
	if (pid < 0 || wait4(pid, &status, 0, &use) < 0)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &to);
	fprintf(stderr, "%.3f %ld",
		(double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9,
		use.ru_maxrss);
	if (cpu)
		fprintf(stderr, " %.3f",
			(double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
				(double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
	if (reads)
		fprintf(stderr, " %llu", n_read);
	fputc('\n', stderr);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
