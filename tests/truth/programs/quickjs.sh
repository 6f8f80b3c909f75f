# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
ABOUT='C, a JavaScript engine: one huge function with computed gotos, Unicode, regular expressions'
FROM='crate rquickjs-sys@0.14.0'

recipe_build() {
	(cd quickjs && compile -D_GNU_SOURCE -DQUICKJS_NG_BUILD -- \
		quickjs.c quickjs-libc.c qjs.c dtoa.c libregexp.c libunicode.c gen/repl.c gen/standalone.c) && link -lm -ldl -lpthread
}

recipe_inputs() {
	cat >train.js <<'END'
let seed = 7;
const random = n => { seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff; return seed % n; };
class Shape { constructor(w) { this.w = w; } area() { return 0; } }
class Box extends Shape { area() { return this.w * this.w; } }
class Ball extends Shape { area() { return 3 * this.w * this.w; } }
const shapes = [];
for (let i = 0; i < 4000; i++) shapes.push(random(2) ? new Box(random(50)) : new Ball(random(50)));
let total = 0;
for (let k = 0; k < 12; k++) for (const s of shapes) total += s.area();
print('area', total);
const words = Array.from({length: 6000}, () => 'k' + random(900).toString(36));
const count = new Map();
for (const w of words) count.set(w, (count.get(w) ?? 0) + 1);
print('top', [...count].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 3).join(' '));
const text = JSON.stringify(words.map((w, i) => ({w, i, nested: {odd: i % 2 === 1, list: [i, i * 2]}})));
print('json', JSON.parse(text).filter(o => o.nested.odd).length, text.length);
print('regexp', (words.join(' ').match(/k([a-f]\w|\d+)\b/g) || []).length);
function* walk(n) { if (n > 1) { yield* walk(n - 1); yield n; yield* walk(n - 2); } }
let steps = 0;
for (const v of walk(15)) steps += v;
print('steps', steps);
END
	cat >test.js <<'END'
const memo = {};
const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
print('fib', fib(22));
const grid = new Float64Array(120 * 120);
for (let t = 0; t < 6; t++)
	for (let y = 1; y < 119; y++) for (let x = 1; x < 119; x++)
		grid[y * 120 + x] = (grid[y * 120 + x - 1] + grid[y * 120 + x + 1] + grid[(y - 1) * 120 + x] + x * y % 7) / 4;
print('grid', grid[61 * 120 + 59].toFixed(4));
let big = 1n;
for (let i = 1n; i < 300n; i++) big *= i;
print('digits', big.toString().length);
const source = 'let a = (1 + 22) * b - [3, "four"]; // five\n'.repeat(300);
const tokens = [];
for (let i = 0; i < source.length;) {
	const c = source[i];
	let j = i + 1;
	if (/\s/.test(c)) { i = j; continue; }
	if (c >= '0' && c <= '9') while (source[j] >= '0' && source[j] <= '9') j++;
	else if (c === '"') { while (source[j] !== '"') j++; j++; }
	else if (c >= 'a' && c <= 'z') while (source[j] >= 'a' && source[j] <= 'z') j++;
	else if (c === '/' && source[j] === '/') while (source[j] !== '\n') j++;
	tokens.push(source.slice(i, j));
	i = j;
}
print('tokens', tokens.length, new Set(tokens).size);
try { for (let i = 0; i < 3000; i++) try { null.x; } catch (e) { memo[e.message] = i; } } finally { print(Object.keys(memo).length); }
END
}

recipe_run() {
	local input=$1
	shift
	"$@" "$input.js"
}
