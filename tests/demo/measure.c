/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seconds and peak memory, for the demo.
 *
 *	measure stage FILE CMD ARG...
 *		Runs CMD, writes "SECONDS PEAK_KB EXIT" to FILE, exits as CMD did.  The peak is
 *		that of the largest process among CMD and its descendants.
 *
 *	measure race ROUNDS PROGRAM... -- ARG...
 *		Runs every PROGRAM with the same arguments ROUNDS times, taking turns, starting each
 *		round with another one, so that a busy or slow moment of the machine hits all alike.
 *		Prints a line for each: its name, then the seconds of each round in order.  What
 *		the programs print is thrown away; a failing one ends the race.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ROUNDS = 99, MAX_PROGRAMS = 16 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The exit code of argv, 128 + N for signal N, 127 if it cannot be run. */
static int run(char **argv, int quiet, double *ret_seconds)
{
	double start = now();
	pid_t pid = fork();
	int status;

	if (pid < 0) {
		perror("measure: fork");
		return 127;
	}
	if (pid == 0) {
		if (quiet) {
			int fd = open("/dev/null", O_WRONLY);
			if (fd >= 0)
				dup2(fd, 1);
		}
		execvp(argv[0], argv);
		fprintf(stderr, "measure: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			perror("measure: wait");
			return 127;
		}
	*ret_seconds = now() - start;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int stage(const char *file, char **argv)
{
	struct rusage u = {0};
	double seconds = 0;
	int code = run(argv, 0, &seconds);
	FILE *f = fopen(file, "w");

	getrusage(RUSAGE_CHILDREN, &u);
	if (!f) {
		perror(file);
		return 127;
	}
	fprintf(f, "%.2f %ld %d\n", seconds, u.ru_maxrss, code);
	fclose(f);
	return code;
}

static int race(int rounds, char **program, int n, char **arg)
{
	static double seconds[MAX_PROGRAMS][MAX_ROUNDS];

	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < n; i++) {
			int at = (r + i) % n, code;

			arg[0] = program[at];
			code = run(arg, 1, &seconds[at][r]);
			if (code) {
				fprintf(stderr, "measure: %s: exit code %d\n", program[at], code);
				return 1;
			}
		}
	for (int i = 0; i < n; i++) {
		printf("%s", program[i]);
		for (int r = 0; r < rounds; r++)
			printf(" %.4f", seconds[i][r]);
		putchar('\n');
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 3 && strcmp(argv[1], "stage") == 0)
		return stage(argv[2], argv + 3);
	if (argc > 4 && strcmp(argv[1], "race") == 0) {
		int rounds = atoi(argv[2]), n = 0;

		while (3 + n < argc && strcmp(argv[3 + n], "--") != 0)
			n++;
		if (rounds > 0 && rounds <= MAX_ROUNDS && n > 0 && n <= MAX_PROGRAMS &&
			3 + n < argc)
			return race(rounds, argv + 3, n, argv + 3 + n);
	}
	fprintf(stderr, "usage: measure stage FILE CMD ARG...\n"
			"       measure race ROUNDS PROGRAM... -- ARG...\n");
	return 2;
}
