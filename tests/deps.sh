#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Finds what building, the demo and the tests need, and installs what is missing.
#
#	deps.sh build|demo|check|stores|engines|operate        each level includes the one before it
#
# What is there is found by asking pkg-config and looking for commands, so things installed by hand
# count, on any distribution.  What is missing is installed with apt when we are root or sudo asks
# no password; otherwise the command to do it is printed.  Compilers and LLVM tools are taken in the
# newest version that the distribution offers.
#
# Exit code 0: everything required is there; 1: something required is missing; 2: usage.
# shellcheck disable=SC2317 # the probes are called through "need"
set -eu

level=${1-build}
case $level in
build) rank=1 ;;
demo) rank=2 ;;
check) rank=3 ;;
stores) rank=4 ;;
engines) rank=5 ;;
operate) rank=6 ;;
*)
	echo "usage: deps.sh build|demo|check|stores|engines|operate" >&2
	exit 2
	;;
esac
here=$(cd "$(dirname "$0")" && pwd)
export DEBIAN_FRONTEND=noninteractive

say() {
	echo "deps: $*"
}

have_command() {
	command -v "$1" >/dev/null 2>&1
}

have_compiler() {
	have_command gcc || "$here/tools.sh" gcc >/dev/null || "$here/tools.sh" clang >/dev/null
}

have_libc() {
	[ -e /usr/include/stdio.h ] || echo '#include <stdio.h>' | ${CC:-cc} -E - >/dev/null 2>&1
}

have_library() {
	have_command pkg-config && pkg-config --exists "$1"
}

# Asks apt once, because that takes half a second: the packages that carry a version in their name.
ask_apt() {
	versioned=
	if [ "$rank" -gt 1 ] && have_command apt-cache; then
		versioned=$(apt-cache pkgnames | grep -E '^(clang|lld|llvm|bolt)-[0-9]+$' || true)
	fi
}

# The newest N for which apt offers a package $1-N; nothing if there is none, or no apt.
newest_offered() {
	echo "$versioned" | sed -n "s/^$1-\([0-9][0-9]*\)\$/\1/p" | sort -n | tail -n 1
}

# Is the tool $1 there, as new as the package $2-N that apt offers?
have_newest() {
	found=$("$here/tools.sh" --version "$1") || return 1
	offered=$(newest_offered "$2")
	[ "$found" -ge "${offered:-0}" ]
}

# Prints what is missing, a line each: required|optional, then packages in order of preference.
# $2-N stands for the newest version; it is filled in when the package lists are fresh.
missing() {
	# need RANK required|optional PACKAGE[|PACKAGE...] PROBE...
	need() {
		at=$1 weight=$2 packages=$3
		shift 3
		[ "$at" -gt "$rank" ] || "$@" || echo "$weight $packages"
	}
	need 1 required gcc have_compiler
	need 1 required libc6-dev have_libc
	need 1 required make have_command make
	need 1 required 'pkgconf|pkg-config' have_command pkg-config
	need 1 required libprotobuf-c-dev have_library libprotobuf-c
	need 1 required protobuf-c-compiler have_command protoc-c
	need 1 required libelf-dev have_library libelf
	need 1 required libdw-dev have_library libdw
	need 1 required libzstd-dev have_library libzstd
	need 1 required zlib1g-dev have_library zlib
	need 1 required libisal-dev have_library libisal
	need 1 required 'libcurl4-openssl-dev|libcurl4-gnutls-dev' have_library libcurl
	need 1 required libexpat1-dev have_library expat
	need 1 required libxxhash-dev have_library libxxhash
	need 1 required libconfuse-dev have_library libconfuse
	need 1 required libjansson-dev have_library jansson
	need 1 required libzydis-dev have_zydis

	need 2 required g++ have_command g++
	need 2 required binutils have_command strip
	need 2 optional qemu-user have_command qemu-x86_64
	need 2 optional valgrind have_count
	need 2 optional clang-N have_newest clang clang
	need 2 optional lld-N have_newest ld.lld lld
	need 2 optional llvm-N have_newest llvm-profdata llvm
	need 2 optional bolt-N have_newest llvm-bolt bolt
	need 2 optional 'linux-perf|linux-tools-generic' have_command perf

	need 3 required libcmocka-dev have_library cmocka
	need 3 optional libclang-rt-N-dev have_clang_rt
	need 3 optional mandoc have_command mandoc
	need 3 optional shellcheck have_command shellcheck
	need 3 optional 'clang-format-14|clang-format' have_tool clang-format
	need 3 optional valgrind have_command valgrind
	need 3 optional zstd have_command zstd
	need 3 optional elfutils have_command eu-readelf
	need 3 optional dwz have_command dwz
	need 3 optional debuginfod have_command debuginfod
	need 3 optional autofdo have_command create_gcov
	need 3 optional golang-go have_command go
	need 3 optional python3-pip have_pip
	need 3 optional python3-jsonschema have_jsonschema
	need 3 optional libgoogle-perftools-dev have_profiler
	need 3 optional clang-14 have_clang_14
	need 3 optional gcc-aarch64-linux-gnu have_arm64_compiler gcc
	need 3 optional g++-aarch64-linux-gnu have_arm64_compiler g++
	need 3 optional libc6-dev-arm64-cross have_arm64_libc

	need 4 optional curl have_command curl
	need 4 optional s3cmd have_command s3cmd
	need 4 optional python3-botocore have_botocore

	need 5 optional slurm-wlm have_admin_command slurmctld
	need 5 optional munge have_admin_command munged
	need 5 optional parallel have_gnu_parallel
	need 5 optional 'openjdk-17-jre-headless|default-jre-headless' have_command java
	need 5 optional python3-venv python3 -c 'import ensurepip'

	need 6 optional prometheus have_command promtool
	need 6 optional python3-prometheus-client have_module prometheus_client
	need 6 optional python3-crontab have_module crontab
	need 6 optional systemd have_command systemd-analyze

	need 6 optional cmake have_command cmake
	need 6 optional ninja-build have_command ninja
	need 6 optional meson have_command meson
	need 6 optional cargo have_command cargo
	need 6 optional build-essential have_build_essential
	need 6 optional dpkg-dev have_command dpkg-buildpackage
	need 6 optional debhelper have_command dh
	need 6 optional lintian have_command lintian
	need 6 optional 'chromium|chromium-browser' have_command chromium
}

# What Debian's packages may take for granted.
have_build_essential() {
	dpkg -s build-essential >/dev/null 2>&1
}

have_profiler() {
	[ -e /usr/include/gperftools/profiler.h ]
}

have_pip() {
	python3 -m pip --version >/dev/null 2>&1
}

have_jsonschema() {
	python3 -c 'import jsonschema' 2>/dev/null || /usr/bin/python3 -c 'import jsonschema' 2>/dev/null
}

have_botocore() {
	python3 -c 'import botocore.auth' 2>/dev/null || /usr/bin/python3 -c 'import botocore.auth' 2>/dev/null
}

have_module() {
	/usr/bin/python3 -c "import $1" 2>/dev/null
}

have_admin_command() {
	PATH=$PATH:/usr/sbin command -v "$1" >/dev/null 2>&1
}

# moreutils has another program of that name.
have_gnu_parallel() {
	parallel --version 2>/dev/null | grep -q '^GNU'
}

have_tool() {
	"$here/tools.sh" "$1" >/dev/null
}

# Something to count instructions with: Debian 13's qemu-user has no plugins.
have_count() {
	qemu-x86_64 -h 2>/dev/null | grep -q -e -plugin || have_command valgrind
}

# zydis came without a pkg-config file at first.
have_zydis() {
	have_library zydis || [ -e /usr/include/Zydis/Zydis.h ]
}

# The sanitizer runtimes of the newest clang.
have_clang_rt() {
	clang=$("$here/tools.sh" clang) || return 1
	for f in "$("$clang" -print-resource-dir)"/lib/*/libclang_rt.asan*.a; do
		[ ! -e "$f" ] || return 0
	done
	return 1
}

# An older clang for the tests, where the distribution still has it.
have_clang_14() {
	have_command clang-14 || ! echo "$versioned" | grep -qx clang-14
}

# AArch64 programs run here, or there is something to make and emulate them.
have_arm64_compiler() {
	[ "$(uname -m)" = aarch64 ] || have_command "aarch64-linux-gnu-$1"
}

have_arm64_libc() {
	[ "$(uname -m)" = aarch64 ] || [ -e /usr/aarch64-linux-gnu/include/stdio.h ]
}

offered() {
	apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

# One package name for "a|b" or "name-N"; nothing, with a line to say so, if none exists here.
choose() {
	old_ifs=$IFS
	IFS='|'
	for p in $1; do
		IFS=$old_ifs
		case $p in
		libclang-rt-N-dev) p=libclang-rt-$(newest_offered clang)-dev ;;
		*-N) p=${p%-N}-$(newest_offered "${p%-N}") ;;
		esac
		if offered "$p"; then
			echo "$p"
			return
		fi
	done
	IFS=$old_ifs
	say "no package '$1' in this release, skipped" >&2
}

# "required a b c" lines to package names.
packages() {
	while read -r weight names; do
		[ "$1" = all ] || [ "$1" = "$weight" ] || continue
		choose "$names"
	done
}

apt() {
	what=$1
	shift
	for try in 1 2; do
		if $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
			-o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1 </dev/null; then
			return 0
		fi
		if [ "$try" = 1 ]; then
			say "$what failed, trying once more"
			sleep 2
		fi
	done
	say "$what failed; the log is $log; its end:"
	tail -n 5 "$log" | sed 's/^/deps:   /'
	return 1
}

install() {
	apt "installing" install --no-install-recommends "$@"
}

give_up_or_go_on() {
	if echo "$1" | grep -q '^required'; then
		say "missing and required:" "$(echo "$1" | sed -n 's/^required //p' | tr '\n' ' ')"
		exit 1
	fi
	say "missing, but not required:" "$(echo "$1" | sed -n 's/^optional //p' | tr '\n' ' ')"
	exit 0
}

ask_apt
lacking=$(missing)
if [ -z "$lacking" ]; then
	say "everything for '$level' is there"
	exit 0
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
	sudo="sudo -n"
fi
if ! have_command apt-get; then
	say "no apt-get here; please install the equivalents of these Debian packages:"
	echo "$lacking" | while read -r weight names; do say "  $names ($weight)"; done
	give_up_or_go_on "$lacking"
fi
if [ -n "$sudo" ] && ! sudo -n true 2>/dev/null; then
	say "not root, and sudo would ask; please run this:"
	# shellcheck disable=SC2046 # one word a package
	echo "  sudo apt-get install --no-install-recommends" $(echo "$lacking" | packages all)
	give_up_or_go_on "$lacking"
fi

log=$(mktemp)
say "updating the package lists"
apt "updating the package lists" update || true
ask_apt # there may be newer compilers than we knew
lacking=$(missing)
all=$(echo "$lacking" | packages all)
if [ -n "$all" ]; then
	# shellcheck disable=SC2086 # one word a package
	say "installing" $all
	# shellcheck disable=SC2086
	if ! install $all; then
		required=$(echo "$lacking" | packages required 2>/dev/null)
		say "installing the required ones alone, then the others one by one"
		# shellcheck disable=SC2086
		[ -z "$required" ] || install $required || true
		for p in $(echo "$lacking" | packages optional 2>/dev/null); do
			install "$p" || say "$p could not be installed"
		done
	fi
fi
lacking=$(missing)
if [ -z "$lacking" ]; then
	rm -f "$log"
	say "everything for '$level' is there now"
	exit 0
fi
give_up_or_go_on "$lacking"
