#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the store servers that tests/stores/*.sh talk to, from published Go modules.
#
#	tests/stores/build.sh [NAME...]      versitygw profefe parca pyroscope profilecli; all of them if none is named
#	tests/stores/build.sh --path NAME    where that program is; exit code 1, and why, if it is not
#	tests/stores/build.sh --list
#
# A recipe is a small module of its own under recipes/: go.mod pins the server, go.sum what all of it must hash to.
# The programs go to ${XDG_CACHE_HOME:-~/.cache}/pgo-stores/NAME-DIGEST/bin, DIGEST being the recipe's, so a
# changed recipe is built again and nothing else is.  Cold, all of it takes 16 minutes on two cores and 5 GB in
# Go's own caches (`go clean -cache -modcache` frees them, the programs stay); warm, nothing.
#
# Environment: PGO_STORES_BIN (a directory with programs that somebody built already: those found there are taken).
#
# Exit code 0: all there; 77: some cannot be had here (no Go, too old, no module proxy; the last line says which
# and why); 1: a recipe is broken.
# shellcheck disable=SC2317 # the recipes are called by name
set -u
cd "$(dirname "$0")" || exit 2
here=$PWD
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pgo-stores
names="versitygw profefe parca pyroscope profilecli"
flags=(-mod=readonly -buildvcs=false -ldflags '-s -w')

# ------------------------------------------------------------------ the recipes

# module PATH: the one of that path which the recipe pins, as a directory in Go's module cache
module() {
	"$go" mod download -json "$1@$("$go" list -m -f '{{.Version}}' "$1")" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

# Each is called in its recipe's directory, with a new directory for the program and one for scratch.
recipe_versitygw() {
	"$go" build "${flags[@]}" -o "$1/" github.com/versity/versitygw/cmd/versitygw
}

recipe_profefe() {
	"$go" build "${flags[@]}" -o "$1/" github.com/profefe/profefe/cmd/profefe
}

recipe_pyroscope() {
	"$go" build "${flags[@]}" -o "$1/" github.com/grafana/pyroscope/cmd/pyroscope
}

recipe_profilecli() {
	"$go" build "${flags[@]}" -o "$1/" github.com/grafana/pyroscope/cmd/profilecli
}

# It embeds its web pages, which the module does not have: built from a copy with one page in their place.
recipe_parca() {
	local from
	from=$(module github.com/parca-dev/parca) && [ -n "$from" ] || return 1
	cp -r "$from" "$2/parca" && chmod -R u+w "$2/parca" || return 1
	mkdir -p "$2/parca/ui/packages/app/web/build" || return 1
	echo "this parca has no web pages" >"$2/parca/ui/packages/app/web/build/index.html"
	"$go" build -C "$2/parca" "${flags[@]}" -o "$1/" ./cmd/parca
}

# Names every package that the program is made of, for which all modules must be downloaded: what a missing
# proxy fails at, before anything is compiled.
packages() {
	case $1 in
	parca) cd "$(module github.com/parca-dev/parca)" && "$go" list -mod=readonly -deps ./cmd/parca ;;
	profefe) "$go" list -mod=readonly -deps github.com/profefe/profefe/cmd/profefe ;;
	versitygw) "$go" list -mod=readonly -deps github.com/versity/versitygw/cmd/versitygw ;;
	*) "$go" list -mod=readonly -deps "github.com/grafana/pyroscope/cmd/$1" ;;
	esac
}

recipe_dir() {
	case $1 in
	profilecli) echo "$here/recipes/pyroscope" ;;
	*) echo "$here/recipes/$1" ;;
	esac
}

# ------------------------------------------------------------------ building

# Of everything that decides what comes out, but for Go itself.
digest() {
	{
		cat "$(recipe_dir "$1")"/go.mod "$(recipe_dir "$1")"/go.sum
		declare -f "recipe_$1" module
		echo "${flags[@]}" "$(uname -sm)"
	} | sha256sum | cut -c 1-16
}

place() {
	if [ -x "${PGO_STORES_BIN-}/$1" ]; then
		echo "$PGO_STORES_BIN/$1"
	else
		echo "$cache/$1-$(digest "$1")/bin/$1"
	fi
}

say() {
	echo "stores: $*"
}

# The newest Go of those that are installed; modules that want a newer one fetch it, if it may.
find_go() {
	local g v best=0
	go=
	for g in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
		[ -x "$g" ] || continue
		v=$("$g" version 2>/dev/null | sed -n 's/.* go1\.\([0-9]*\).*/\1/p')
		if [ "${v:-0}" -gt "$best" ]; then
			best=$v go=$g
		fi
	done
	if [ "$best" = 0 ]; then
		why="Go is not installed; 1.25.7 or newer builds it"
	elif [ "$best" -lt 21 ]; then
		why="Go 1.$best is too old; 1.25.7 or newer builds it"
	else
		return 0
	fi
	return 1
}

# The last line of a log that says something.
last_word() {
	grep -v -e ': downloading ' -e '^$' "$1" | tail -n 1
}

# Everything the build needs is in the module cache: 0; it cannot be had: 77; something else: 1.
download() {
	local log=$1 name=$2 try
	for try in 1 2 3; do
		(packages "$name") >/dev/null 2>"$log" && return 0
		why=$(last_word "$log")
		if grep -qE 'requires go >=|toolchain not available' "$log"; then
			why="Go is too old: $why"
			return 77
		fi
		grep -qE 'SECURITY ERROR|checksum mismatch' "$log" && return 1
		grep -qE 'dial |lookup |timeout|connection|TLS|EOF|: [45][0-9][0-9] |lookup disabled|server response' "$log" || return 1
		[ "$try" = 3 ] || sleep 2
	done
	why="the module proxy does not give it: $why"
	return 77
}

# compile NAME TEMP, in the recipe's directory
compile() {
	mkdir "$2/bin" "$2/scratch" && cd "$(recipe_dir "$1")" && renice -n 5 "$BASHPID" >/dev/null &&
		"recipe_$1" "$2/bin" "$2/scratch" >>"$2/log" 2>&1 && [ -x "$2/bin/$1" ]
}

# build NAME, under the lock.  0, 1 or 77, and `why`.
build() {
	local name=$1 to start=$SECONDS temp rc
	to=$(dirname "$(dirname "$(place "$name")")")
	why=
	[ ! -x "$to/bin/$name" ] || return 0 # while we waited for the lock
	find_go || return 77
	temp=$(mktemp -d "$cache/.build.XXXXXX") || return 1
	say "$name: building (log: $cache/$name.log)"
	cd "$(recipe_dir "$name")" && download "$temp/log" "$name"
	rc=$?
	if [ "$rc" = 0 ] && ! (compile "$name" "$temp"); then
		why=$(last_word "$temp/log")
		rc=1
	fi
	cp "$temp/log" "$cache/$name.log"
	rm -rf "$temp/scratch"
	if [ "$rc" = 0 ]; then
		# Nobody ever sees half of it: the directory has its name only when all is in it.
		rm -rf "$to" && mv "$temp" "$to" && say "$name: built in $((SECONDS - start)) s" || rc=1
	fi
	rm -rf "$temp"
	cd "$here" || rc=1
	return "$rc"
}

want() {
	local name=$1 rc=0
	if [ ! -x "$(place "$name")" ]; then
		mkdir -p "$cache" || return 1
		{
			flock 9
			build "$name"
			rc=$?
		} 9>"$cache/.lock"
		rm -f "$cache/$name.why"
	fi
	case $rc in
	0) ;;
	77)
		say "$name: cannot be had: $why"
		echo "$why" >"$cache/$name.why"
		lacking="${lacking:+$lacking; }$name: $why"
		;;
	*)
		say "$name: FAILED: $why"
		sed 's/^/    /' "$cache/$name.log" 2>/dev/null | tail -n 20
		broken="$broken $name"
		;;
	esac
}

case ${1-} in
--list)
	echo "$names"
	exit 0
	;;
--path)
	p=$(place "$2")
	if [ -x "$p" ]; then
		echo "$p"
		exit 0
	elif [ -s "$cache/$2.why" ]; then
		echo "$2 is not there: $(cat "$cache/$2.why")"
	else
		echo "$2 is not built; run: tests/stores/build.sh $2"
	fi
	exit 1
	;;
esac
broken='' lacking='' go='' why=''
# shellcheck disable=SC2086 # words
[ $# -gt 0 ] || set -- $names
for n in "$@"; do
	case " $names " in
	*" $n "*) want "$n" ;;
	*)
		echo "build.sh: there is no server \"$n\"; there are: $names" >&2
		exit 2
		;;
	esac
done
[ -z "$broken" ] || exit 1
if [ -n "$lacking" ]; then
	echo "$lacking"
	exit 77
fi
say "all there: $*"
