#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What becomes of a state that was moved, cannot be written, was left by an older version, was left half done by a run
# that was killed, or is wanted by two at once.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'chmod -R u+w "$T"; rm -rf "$T"' EXIT
good=0 bad=0

check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}
# exits CODE COMMAND...
exits() {
	local want=$1 code=0
	shift
	timeout 120 "$@" >"$T/stdout" 2>"$T/stderr" </dev/null || code=$?
	if [ "$code" = "$want" ]; then
		good=$((good + 1))
	else
		echo "FAIL: $*: exit $code, want $want"; sed 's/^/    /' "$T/stdout" "$T/stderr"; bad=$((bad + 1))
	fi
}
put() {
	"$B/emu/mkperf" -o "$T/one.perf" --host "$1" --aslr "$3" --max-samples 400 "$FIX/app.ring" || exit 1
	"$PGO" import "$T/one.perf" --host "$1" --service app --time "2026-11-$2T10:00:00Z" --binary "$FIX/app" -o "$T/store" >/dev/null || exit 1
}
S=$T/state/app
in_use() {
	basename "$(readlink "$S/last-good")"
}
run() {
	local want=$1
	shift
	exits "$want" "$PGO" run -c "$T/pgo.conf" "$@"
}
last() {
	tail -n 1 "$S/log.jsonl" | sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"]*\).*/\1/p"
}
whole() {
	local f
	for f in out.afdo out.fdata; do cmp -s "$T/$f" "$S/last-good/$f" || return 1; done
	[ -z "$(find "$S" "$T" -maxdepth 1 \( -name 'candidate.*' -o -name '.pointer.*' -o -name '*.tmp' \))" ]
}

export PGO_NOW=2026-11-20T12:00:00Z
mkdir "$T/store" "$T/bin"
cp "$FIX/app" "$T/bin/app"
put web-1 18 1; put web-2 18 2
cat >"$T/pgo.conf" <<'C'
state = "state"
target "app" {
	sources = {"store"}
	binary = "bin/app"
	gcc = "out.afdo"
	gcc_release = 12
	bolt = "out.fdata"
	hysteresis = 0
	gates { hosts = "5/1" dominance = "90/100" acceptance = "off" }
}
C
run 0
A=$(in_use)

# Nothing in the state says where it is.
check "no file names the place" [ -z "$(grep -rl "$T" "$S" --include='*.json*' --include='*.txt' --include=README)" ]
mv "$T/state" "$T/moved"
sed -i 's/state = "state"/state = "moved"/' "$T/pgo.conf"
S=$T/moved/app
run 10
check "a moved state is the same" [ "$(in_use)" = "$A" ]
cp -a "$T/moved" "$T/copy"
exits 0 "$PGO" status -c <(sed "s|\"moved\"|\"$T/copy\"|" "$T/pgo.conf")
rm -rf "$T/copy"

# Where nothing can be written, reading works, and a run says so and harms nothing.  Root may write anywhere, and the
# directory of the tests is closed to others.
R=$(mktemp -d /tmp/pgo-test.XXXXXX) && trap 'chmod -R u+w "$T" "$R"; rm -rf "$T" "$R"' EXIT
cp -a "$T/moved" "$T/bin" "$T/store" "$T/pgo.conf" "$T/"out.* "$R/"
chmod -R a-w,a+rX "$R"
as=()
[ "$(id -u)" = 0 ] && as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
if "${as[@]}" "$PGO" --version >"$T/stdout" 2>&1; then
	exits 0 "${as[@]}" "$PGO" status -c "$R/pgo.conf"
	check "all is in place there" grep -q 'all in place' "$T/stdout"
	exits 0 "${as[@]}" "$PGO" gc --dry-run -c "$R/pgo.conf"
	fails 3 'cannot be (opened|changed)' "${as[@]}" "$PGO" run -c "$R/pgo.conf"
else
	echo "reading without the right to write: not tried, the program cannot be started as another user here"
fi

# Killed after the candidate took its place: the next run takes it up without computing it again.
put web-1 19 3
cp -a "$S" "$T/before"
run 0
B_=$(in_use)
take_back() { # FILE...: these as they were before the run
	local f
	for f; do
		rm -f "$S/$f"
		cp -a "$T/before/$f" "$S/$f"
	done
}
take_back log.jsonl last-good
cp "$S/last-good/"out.* "$T/"
mkdir "$S/candidate.abcdef" && echo half >"$S/candidate.abcdef/out.afdo"
run 0
check "it is in use" [ "$(in_use)" = "$B_" ]
check "all is whole" whole
check "and was not made again" grep -q 'in a run that was not finished' "$T/stdout"
# ... after last-good was switched, but before the outputs and the log.
take_back log.jsonl
cp "$S/published/$A/"out.* "$T/"
run 0
check "outputs and log follow" whole
check "the log has it" [ "$(last decision) $(last id)" = "published $B_" ]
# ... before it took its place.
take_back log.jsonl last-good
rm -rf "$S/published/$B_"
mkdir "$S/candidate.abcdef"
run 0
check "it is made again, the same" [ "$(in_use)" = "$B_" ]
check "and nothing is left over" whole
# ... by a rollback, between its line and the link.
cp -a "$S/last-good" "$T/link"
exits 0 "$PGO" rollback -c "$T/pgo.conf"
rm "$S/last-good" && cp -a "$T/link" "$S/last-good"
run 10
check "the next one finishes it" [ "$(in_use)" = "$A" ]
exits 0 "$PGO" promote -c "$T/pgo.conf" "$B_"
# ... in the middle of a line of the log.
head -c 100 "$T/before/log.jsonl" >>"$S/log.jsonl"
run 10
check "the log is mended" python3 -c "
import json, sys
lines = [json.loads(l) for l in open('$S/log.jsonl')]
sys.exit([l['seq'] for l in lines] != list(range(1, len(lines) + 1)))"
check "no password, no place in it" [ -z "$(grep -F "$T/moved" "$S/log.jsonl")" ]

# A result that somebody damaged is made again under its own id; one that was removed as well.
chmod u+w "$S/published/$B_"/* && echo spoiled >"$S/published/$B_/out.afdo"
run 0
check "mended" whole
check "under its id" [ "$(in_use)" = "$B_" ]
rm -rf "$S/published/$B_"
exits 20 "$PGO" status -c "$T/pgo.conf"
run 0
check "there again" whole
rm "$S/log.jsonl"
run 0
check "a lost log is begun anew" [ "$(last seq) $(last decision)" = "1 published" ]

# What an older version left: one result, beside raw/.
old_state() {
	rm -rf "$T/old" && mkdir -p "$T/old/app"
	cp -a "$S/raw" "$T/old/app/"
	cp "$S/last-good/merged.pb.gz" "$T/old/app/"
	python3 - "$S/last-good/manifest.json" >"$T/old/app/manifest.json" <<-'PY'
		import json, sys
		m = json.load(open(sys.argv[1]))
		m["schema"] = 1
		for key in "id", "time", "merged", "gates", "settings":
		    del m[key]
		for o in m["outputs"]:
		    del o["file"]
		json.dump(m, sys.stdout)
	PY
	sed 's/"moved"/"old"/' "$T/pgo.conf" >"$T/old.conf"
}
old_state
exits 20 "$PGO" status -c "$T/old.conf"
check "status says whose it is" grep -q 'an older pgo made this state' "$T/stdout"
check "and leaves it" test -e "$T/old/app/manifest.json"
exits 10 "$PGO" run -c "$T/old.conf"
check "its result is a result like any" test -s "$T/old/app/last-good/out.afdo"
check "the log begins with it" grep -q '"decision":"migrated"' "$T/old/app/log.jsonl"
check "nothing of the old form is left" test ! -e "$T/old/app/manifest.json"
check "the outputs are untouched" cmp "$T/out.afdo" "$T/old/app/last-good/out.afdo"
# Half written.
old_state
rm "$T/old/app/merged.pb.gz"
exits 0 "$PGO" run -c "$T/old.conf"
check "what is not whole goes into quarantine" grep -rq 'merged profile is missing' "$T/old/app/quarantine"
# And a newer one's is left alone.
echo 9 >"$T/old/app/format"
fails 3 'format 9' "$PGO" run -c "$T/old.conf"

# Two at once: one works, the other says so, or waits.
exec 8>"$S/lock"
flock 8
fails 3 'another run.*stays in use' "$PGO" run -c "$T/pgo.conf"
exits 0 "$PGO" run -c "$T/pgo.conf" --require any
exits 0 "$PGO" status -c "$T/pgo.conf"
(exec 8>&-; exec timeout 60 "$PGO" run -c "$T/pgo.conf" --wait 50s >"$T/waited" 2>&1) &
waiter=$!
exec 8>&-
code=0
wait "$waiter" || code=$?
check "waiting ends when the other does" [ "$code" = 10 ]

# A file system without locks: a file stands for one; who left it and died does not count.
cat >"$T/nolock.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>
int flock(int fd, int op)
{
	(void)fd;
	(void)op;
	errno = ENOLCK;
	return -1;
}
int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (cmd == F_OFD_SETLK) {
		errno = ENOLCK;
		return -1;
	}
	return (int)syscall(SYS_fcntl, fd, cmd, arg);
}
int fcntl64(int fd, int cmd, ...) __attribute__((alias("fcntl")));
C
if ${CC:-gcc} -shared -fPIC -o "$T/nolock.so" "$T/nolock.c" 2>"$T/log" && ! grep -q asan <(ldd "$PGO"); then
	cp -a "$T/moved" "$T/nolocks" && sed 's/"moved"/"nolocks"/' "$T/pgo.conf" >"$T/nolocks.conf"
	S=$T/nolocks/app
	# Profiles are looked at by fetch, which has a lock of its own.
	exits 0 env LD_PRELOAD="$T/nolock.so" "$PGO" pin -c "$T/nolocks.conf"
	check "the file goes with the lock" test ! -e "$S/lock.held"
	sleep 1000 &
	sleeper=$!
	echo "$(hostname) $(cat /proc/sys/kernel/random/boot_id) $sleeper" >"$S/lock.held"
	code=0
	timeout 3 env LD_PRELOAD="$T/nolock.so" "$PGO" pin --remove -c "$T/nolocks.conf" >"$T/stdout" 2>&1 || code=$?
	check "one who lives is waited for" [ "$code" = 124 ]
	kill "$sleeper"
	wait "$sleeper" 2>/dev/null
	exits 0 env LD_PRELOAD="$T/nolock.so" "$PGO" pin --remove -c "$T/nolocks.conf"
	echo "another-host 00000000 1" >"$S/lock.held"
	touch -d '2 days ago' "$S/lock.held"
	exits 0 env LD_PRELOAD="$T/nolock.so" "$PGO" pin -c "$T/nolocks.conf"
else
	echo "a file system without locks: not tried, functions cannot be replaced here"
fi
finish
