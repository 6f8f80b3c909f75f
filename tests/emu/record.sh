#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a program under the instrument: records branch rings and exact counts, or counts only.
#
#	record.sh [-e branches|instructions|cycles] [-p PERIOD] [-s SEED] [-O name=value[,...]] -o OUT.ring -- PROGRAM [ARGS]
#	record.sh --count [FILE] -- PROGRAM [ARGS]
#
# The program's input, output and exit status are its own.  --count writes "instructions N", "taken-branches N",
# "mispredicts N", "model-cycles N" (the last two of a model), one a line, to FILE or standard error: a measure of
# speed without noise.  -O passes further options of the plugin (ring_plugin.c lists them), e.g. callchain=1.
# Forked children write OUT.ring.PID; their counts are added up.  The plugin is looked for in $EMU_DIR, else in
# build/emu.  $EMU_QEMU holds further options of the emulator, e.g. "-cpu max" or "-L SYSROOT".
set -u

usage() {
	sed -n '5,6s/^#	/usage: /p' "$0" >&2
	exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
dir=${EMU_DIR:-$here/../../build/emu}
out='' count='' opts=''
while [ $# -gt 0 ]; do
	case $1 in
	-e) opts="$opts,event=$2" && shift 2 ;;
	-p) opts="$opts,period=$2" && shift 2 ;;
	-s) opts="$opts,seed=$2" && shift 2 ;;
	-O) opts="$opts,$2" && shift 2 ;;
	-o) out=$2 && shift 2 ;;
	--count)
		count=-
		shift
		case ${1-} in
		--) ;;
		?*) count=$1 && shift ;;
		esac
		;;
	--) shift && break ;;
	*) usage ;;
	esac || usage
done
if [ $# -eq 0 ] || [ -z "$out$count" ]; then
	usage
fi

program=$(command -v "$1") || {
	echo "record.sh: $1: not found" >&2
	exit 127
}
shift
plugin=$(readlink -f "$dir/ring_plugin.so")
if [ ! -e "$plugin" ]; then
	echo "record.sh: $dir/ring_plugin.so is missing: run make emu" >&2
	exit 125
fi
# e_machine, the 16-bit number at offset 18 of an ELF file
case $(od -An -tu2 -j18 -N2 "$program" | tr -d ' ') in
62) qemu='qemu-x86_64' ;;
183)
	qemu='qemu-aarch64'
	# where Debian's cross compilers keep the C library of the programs they make
	[ "$(uname -m)" = aarch64 ] || [ ! -d /usr/aarch64-linux-gnu ] ||
		export QEMU_LD_PREFIX="${QEMU_LD_PREFIX-/usr/aarch64-linux-gnu}"
	;;
*)
	echo "record.sh: $program: no program for x86-64 or AArch64" >&2
	exit 125
	;;
esac
command -v $qemu >/dev/null || {
	echo "record.sh: $qemu is missing: install qemu-user" >&2
	exit 125
}
# The plugin's options are separated by commas: give it names without any.
tmp=$(mktemp -d) || exit 125
trap 'rm -rf "$tmp"' EXIT
[ -n "$out" ] && opts="$opts,out=$tmp/ring"
[ -n "$count" ] && opts="$opts,count=$tmp/count"
fixed=''
setarch -R true 2>/dev/null && fixed='setarch -R'

# shellcheck disable=SC2086 # $fixed and $EMU_QEMU are several words or none
env -u EMU_DIR -u EMU_QEMU $fixed $qemu ${EMU_QEMU-} -seed 1 -plugin "$plugin$opts" "$program" "$@"
status=$?

if [ -n "$out" ]; then
	for ring in "$tmp"/ring*; do
		[ -e "$ring" ] || {
			echo "record.sh: the program left no dump (killed by a signal?)" >&2
			[ $status -ne 0 ] || status=125
			break
		}
		mv "$ring" "$out${ring#"$tmp/ring"}"
	done
fi
# each process appended its own counts
sum() {
	awk '{ if (!($1 in n)) name[++k] = $1; n[$1] += $2 } END { for (i = 1; i <= k; i++) printf "%s %.0f\n", name[i], n[name[i]] }' \
		"$tmp/count"
}
if [ -n "$count" ] && [ ! -e "$tmp/count" ]; then
	echo "record.sh: the program left no counts (killed by a signal?)" >&2
	[ $status -ne 0 ] || status=125
elif [ "$count" = - ]; then
	sum >&2
elif [ -n "$count" ]; then
	sum >"$count"
fi
exit $status
