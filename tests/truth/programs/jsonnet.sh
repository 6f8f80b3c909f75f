# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
ABOUT='C++, the configuration language: templates of the standard library and of a JSON library, class hierarchies, exceptions'
FROM='pip jsonnet==0.22.0'

recipe_prepare() {
	{
		od -v -An -tu1 stdlib/std.jsonnet | tr -s ' \n' ',' | sed 's/^,//'
		echo 0
	} >core/std.jsonnet.h
	cat >core/main.c <<'END'
#include "libjsonnet.h"
#include <stdio.h>
int main(int argc, char **argv)
{
	struct JsonnetVm *vm = jsonnet_make();
	int error = 1;
	char *text;
	if (argc != 2)
		return 2;
	jsonnet_max_stack(vm, 2000);
	text = jsonnet_evaluate_file(vm, argv[1], &error);
	fputs(text, stdout);
	jsonnet_realloc(vm, text, 0);
	jsonnet_destroy(vm);
	return error;
}
END
}

recipe_build() {
	local f files=()
	for f in core/*.c core/*.cpp third_party/*/*.cpp; do
		case $f in *_test.cpp) ;; *) files+=("$f") ;; esac
	done
	compile -w -Iinclude -Ithird_party/md5 -Ithird_party/json -Ithird_party/rapidyaml -- "${files[@]}" && link
}

recipe_inputs() {
	cat >train.jsonnet <<'END'
local service(name, port, replicas=1) = {
  name: name, port:: port, replicas: replicas, labels: { app: name, tier: if replicas > 2 then 'front' else 'back' },
  containers: [{ name: name + '-' + i, args: ['--port=' + ($.port + i), '--host=%s.%d.local' % [name, i]] } for i in std.range(1, replicas)],
};
local overlay = { labels+: { team: 'core' }, containers: [c { env: { A: '1', B: std.length(c.args) } } for c in super.containers] };
local services = [service('svc%03d' % i, 8000 + i, 1 + i % 4) + (if i % 3 == 0 then overlay else {}) for i in std.range(1, 36)];
{
  by_tier: { [t]: [s.name for s in services if s.labels.tier == t] for t in ['front', 'back'] },
  total: std.foldl(function(a, s) a + s.replicas, services, 0),
  sorted: std.sort([std.md5(s.name) for s in services])[0:5],
  services: std.filter(function(s) s.replicas > 1, services),
  text: std.join(',', std.map(function(s) std.asciiUpper(s.name), services)),
}
END
	cat >test.jsonnet <<'END'
local fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2);
local words(s) = std.filter(function(w) w != '', std.split(s, ' '));
local text = std.repeat('the quick brown fox jumps over the lazy dog and runs away ', 30);
local count(ws) = std.foldl(function(a, w) a { [w]: (if std.objectHas(a, w) then a[w] else 0) + 1 }, ws, {});
local matrix(n) = [[(i * j + i) % 7 for j in std.range(1, n)] for i in std.range(1, n)];
local mul(a, b) = [[std.foldl(function(s, k) s + a[i][k] * b[k][j], std.range(0, std.length(b) - 1), 0)
  for j in std.range(0, std.length(b[0]) - 1)] for i in std.range(0, std.length(a) - 1)];
{
  fib: fib(13), words: count(words(text)[:90]), product: mul(matrix(9), matrix(9))[3],
  set: std.setUnion(std.set([x % 37 for x in std.range(1, 200)]), std.set([x * x % 53 for x in std.range(1, 100)])),
  yaml: std.manifestYamlDoc({ a: [1, { b: null, c: 'x y' }], d: { e: true } }), ini: std.manifestIni({ sections: { s: { k: 1, l: 'two' } } }),
  parsed: std.parseJson('[1, 2, {"a": [3, null, "\\u00e9"]}]'), flat: std.flattenArrays([[i, i + 1] for i in std.range(1, 60)])[7:12],
}
END
}

recipe_run() {
	local input=$1
	shift
	"$@" "$input.jsonnet"
}
