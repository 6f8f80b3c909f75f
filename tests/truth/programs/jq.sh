# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2016
ABOUT='C, the JSON processor: a bytecode interpreter with backtracking, reference counts, a generated parser'
FROM='apt jq'

recipe_prepare() {
	local f
	[ -f src/parser.c ] || return 1
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/' src/builtin.jq >src/builtin.inc
	echo '#define JQ_VERSION "1"' >src/version.h
	# what configuring finds on any Linux
	for f in FLOOR SQRT POW LOG LOG10 EXP FABS ROUND TRUNC CEIL SIN COS MEMMEM ISATTY TIMEGM GMTIME_R LOCALTIME_R STRPTIME STRFTIME \
		GETTIMEOFDAY FREXP MODF LGAMMA_R ALLOCA_H MKSTEMP PTHREAD_KEY_CREATE TM_TM_GMT_OFF; do
		echo "#define HAVE_$f 1"
	done >src/found.h
}

recipe_build() {
	local f files=()
	for f in src/*.c; do
		case $f in */inject_errors.c | */jq_test.c) ;; *) files+=("$f") ;; esac
	done
	echo 'int jq_testsuite(void *lib, int verbose, int argc, char **argv) { return 2; }' >"$OUT/none.c"
	compile -w -D_GNU_SOURCE -DIEEE_8087 -I. -include src/found.h -- "${files[@]}" "$OUT/none.c" && link -lm -lpthread
}

recipe_inputs() {
	records 6000 3 >train.json
	records 2500 11 >test.json
}

# records N SEED
records() {
	awk -v n="$1" -v seed="$2" 'BEGIN {
		srand(seed)
		split("red green blue amber grey", colour)
		for (i = 0; i < n; i++) {
			printf "{\"id\":%d,\"name\":\"item %d \\u00e9\",\"price\":%.2f,\"tags\":[", i, int(rand() * 500), rand() * 1000
			for (k = int(rand() * 4); k >= 0; k--) printf "\"%s\"%s", colour[1 + int(rand() * 5)], k ? "," : ""
			printf "],\"stock\":{\"here\":%d,\"there\":%s},\"ok\":%s}\n", int(rand() * 40), rand() < .1 ? "null" : int(rand() * 9),
				rand() < .5 ? "true" : "false"
		}
	}'
}

recipe_run() {
	local input=$1
	shift
	case $input in
	train) "$@" -c -s '[.[] | select(.ok and .stock.here > 5) | {name, total: (.price * .stock.here | floor), tags: (.tags | unique)}]
		| group_by(.tags) | map({tags: .[0].tags, n: length, sum: (map(.total) | add), top: (max_by(.total).name)}) | sort_by(-.sum)' train.json ;;
	test) "$@" -r 'def depth: if type == "object" or type == "array" then 1 + ([.[] | depth] | max // 0) else 0 end;
		[(.id | tostring), (.name | ascii_upcase), ([paths] | length | tostring), (.stock | to_entries | map("\(.key)=\(.value)") | join(";")),
		(depth | tostring), (reduce (.tags[] | explode[]) as $c (7; (. * 31 + $c) % 65521) | tostring)] | @csv' test.json ;;
	esac
}
