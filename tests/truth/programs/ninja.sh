# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2016
ABOUT='C++, the build tool: a generated lexer, string hashing, graphs, containers of the library'
FROM='apt ninja-build'

recipe_build() {
	local f files=()
	for f in src/*.cc; do
		case $f in
		*test.cc | *win32.cc | *msvc* | */browse.cc | */hash_collision_bench.cc | *.in.cc) ;;
		*) files+=("$f") ;;
		esac
	done
	compile -std=gnu++17 -DNINJA_BOOTSTRAP -DUSE_PPOLL -- "${files[@]}" && link -lpthread
}

recipe_inputs() {
	graph 9000 5 >train.ninja
	graph 4000 17 >test.ninja
	mkdir -p include && touch 'include/config$h.h'
	awk 'BEGIN { for (i = 0; i < 9000; i++) print "src/module" int(i / 40) "/file_" i ".c" }' >files
	sed 's,/[^/]*$,,' files | sort -u | xargs mkdir -p
	xargs touch <files
}

# graph N SEED: a build file of N compilations, their libraries and programs
graph() {
	awk -v n="$1" -v seed="$2" 'BEGIN {
		srand(seed)
		print "cflags = -O2 -Iinclude -DNAME=\"x y\"\nrule cc\n  command = cc $cflags $extra -MD -MF $out.d -c $in -o $out"
		print "  depfile = $out.d\n  description = CC $out\nrule ar\n  command = rm -f $out && ar crs $out $in"
		print "rule ld\n  command = cc -o $out $in $libs\n  pool = link\npool link\n  depth = 4"
		for (i = 0; i < n; i++) {
			d = "src/module" int(i / 40)
			printf "build out/%s/file_%d.o: cc %s/file_%d.c | include/config$$h.h || out/stamp\n", d, i, d, i
			if (int(rand() * 5) == 0) printf "  extra = -DFEATURE_%d=1 -I%s/private\n", int(rand() * 50), d
			objects[int(i / 40)] = objects[int(i / 40)] " out/" d "/file_" i ".o"
		}
		print "build out/stamp: phony"
		for (m = 0; m * 40 < n; m++) printf "build out/lib%d.a: ar%s\n", m, objects[m]
		for (m = 0; m * 40 < n; m += 3) {
			printf "build out/prog%d: ld out/lib%d.a", m, m
			for (k = 0; k < 4; k++) printf " $\n    out/lib%d.a", int(rand() * n / 40)
			printf "\n  libs = -lm -lpthread\n"
			all = all " out/prog" m
		}
		print "build all: phony" all "\ndefault all"
	}'
}

recipe_run() {
	local input=$1
	shift
	"$@" -f "$input.ninja" -n
}
