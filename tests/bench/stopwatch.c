/* SPDX-License-Identifier: Apache-2.0 */
/* measure COMMAND...: runs it and prints "SECONDS PEAK_KIB" on stderr's end; its exit code. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec from, to;
	struct rusage use;
	int status;
	pid_t pid;

	if (argc < 2)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &from);
	pid = fork();
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &use) < 0)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &to);
	fprintf(stderr, "%.3f %ld\n",
		(double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9,
		use.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
