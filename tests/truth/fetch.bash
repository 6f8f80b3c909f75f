# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sources by name, through the ordinary clients of the registries that this machine is set up for. Sourced by programs.sh.
#
#	fetch apt|pip|crate|npm NAME DIRECTORY      the unpacked source is DIRECTORY
#
# Leaves with 77 where a registry cannot be reached or its client is missing.

missing() {
	echo "$*"
	exit 77
}

# The distribution's own mirrors, sources in place of binaries, in lists of our own: the machine's stay as they are.
apt_lists() {
	local lists=$CACHE/apt site release component signed
	APT=(-o "Dir::Etc::sourcelist=$lists/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$lists/lists"
		-o "Dir::Cache=$lists/cache" -o APT::Sandbox::User=root)
	[ ! -e "$lists/.ready" ] || return 0
	mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial"
	# shellcheck disable=SC2016 # apt fills them in
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT) $(SIGNED_BY)' 'Created-By: Packages' |
		grep -vE ' [^ ]*-(security|backports|proposed)[^ ]* ' | sort -u |
		while read -r site release component signed; do
			case $signed in
			/*) signed="[signed-by=$signed]" ;;
			*) signed='' ;;
			esac
			echo "deb-src $signed $site $release $component"
		done >"$lists/sources.list"
	[ -s "$lists/sources.list" ] || missing "apt knows of no mirror to take sources from"
	# it succeeds, and has no lists, where the mirror does not answer
	apt-get "${APT[@]}" -q update >"$lists/log" 2>&1 || missing "apt's mirror cannot be reached"
	ls "$lists"/lists/*Sources* >>"$lists/log" 2>&1 || missing "apt's mirror cannot be reached"
	touch "$lists/.ready"
}

# unpack ARCHIVE DIRECTORY: the one folder that it holds
unpack() {
	rm -rf "$2.new"
	mkdir -p "$2.new" && tar -C "$2.new" -xf "$1" || return 1
	set -- "$1" "$2" "$2.new"/*
	[ $# = 3 ] && mv "$3" "$2" && rmdir "$2.new"
}

fetch_apt() {
	local got
	command -v apt-get >/dev/null || missing "apt-get is not here"
	mkdir -p "$CACHE/apt"
	apt_lists 8>&-
	rm -rf "$2.got" && mkdir -p "$2.got"
	(cd "$2.got" && apt-get "${APT[@]}" -q source --download-only "$1") >"$2.log" 2>&1 || {
		! grep -q 'Unable to find a source' "$2.log" || missing "this distribution has no source package $1"
		missing "the source package $1 cannot be fetched: $(grep '^E:' "$2.log" | head -n 1)"
	}
	got=$(find "$2.got" -name '*.orig.tar.*' ! -name '*.asc' | head -n 1)
	unpack "$got" "$2" && rm -rf "$2.got"
}

fetch_pip() {
	local got
	command -v pip >/dev/null || missing "pip is not here"
	rm -rf "$2.got"
	pip download -q --no-deps --no-binary :all: -d "$2.got" "$1" >"$2.log" 2>&1 ||
		missing "the source of $1 cannot be fetched by pip"
	got=$(find "$2.got" -name '*.tar.gz' | head -n 1)
	unpack "$got" "$2" && rm -rf "$2.got"
}

fetch_crate() {
	command -v cargo >/dev/null || missing "cargo is not here"
	rm -rf "$2.got" && mkdir -p "$2.got/src" && : >"$2.got/src/lib.rs" || return 1
	printf '[package]\nname = "p"\nversion = "0.0.0"\n[dependencies]\n%s = "=%s"\n' "${1%@*}" "${1#*@}" >"$2.got/Cargo.toml"
	(cd "$2.got" && cargo vendor crates) >"$2.log" 2>&1 || missing "the crate $1 cannot be fetched"
	mv "$2.got/crates/${1%@*}" "$2" && rm -rf "$2.got"
}

fetch_npm() {
	local got
	command -v npm >/dev/null || missing "npm is not here"
	rm -rf "$2.got" && mkdir -p "$2.got" || return 1
	(cd "$2.got" && npm pack --silent "$1") >"$2.log" 2>&1 || missing "the package $1 cannot be fetched by npm"
	got=$(find "$2.got" -name '*.tgz' | head -n 1)
	unpack "$got" "$2" && rm -rf "$2.got"
}

# fetch REGISTRY NAME DIRECTORY
fetch() {
	"fetch_$1" "$2" "$3"
}
