# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the engines share: the plan, how many shards it has, and which of them are not done yet.  Sourced.

PGO=${PGO:-pgo}

# The comment at the head of the script is its help.
usage() {
	awk 'NR > 2 && /^#/ { sub(/^# ?/, ""); print; next } NR > 2 { exit }' "$0" >&2
	exit 2
}

# make_plan DIR SHARDS ARG...: DIR/plan.json, made anew: with the same inputs it has the same bytes, and parts that are done
# fit it; sets n
make_plan() {
	local dir=$1 shards=$2
	shift 2
	"$PGO" plan -q "$@" ${shards:+--shards "$shards"} -o "$dir/plan.json.new" || return
	if [ -e "$dir/plan.json" ] && ! cmp -s "$dir/plan.json" "$dir/plan.json.new"; then
		echo "${0##*/}: the inputs changed since the last run: its parts are made anew" >&2
		rm -f "$dir"/part.*
	fi
	mv "$dir/plan.json.new" "$dir/plan.json" || return
	n=$(sed -n '1s/.*"shards": *\([0-9]*\).*/\1/p' "$dir/plan.json")
	[ -n "$n" ] || {
		echo "${0##*/}: $dir/plan.json is no plan of this version of pgo" >&2
		return 3
	}
}

# Sets todo to the shards that are not done.  A part that is there is complete: it appears by rename.
shards_to_do() {
	local i
	todo=()
	for ((i = 1; i <= n; i++)); do
		[ -e "$1/part.$i" ] || todo+=("$i")
	done
}
