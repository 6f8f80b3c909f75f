# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2086
# A recipe. ABOUT: one line. FROM: registry and name. Functions:
#	recipe_prepare          once after fetching, in the source's folder (optional)
#	recipe_build            in the source's folder, which it must not change: makes $OUT/app by `compile` and `link`
#	recipe_inputs           once, in the folder of inputs
#	recipe_run INPUT APP... in the folder of inputs: runs APP... with arguments; APP may be several words
# A recipe names nothing of the machine it runs on: it is part of the key of what is kept.
ABOUT='C, the interpreter of Lua: a switch of computed gotos, tables, garbage collection'
FROM='apt lua5.4'

recipe_build() {
	compile -DLUA_USE_POSIX -DLUA_COMPAT_5_3 -- src/l[!u]*.c src/lu[!a]*.c src/lua.c && link -lm
}

recipe_inputs() {
	cat >train.lua <<'END'
-- objects, closures, strings, sorting, patterns
local rnd = 42
local function random(n) rnd = (rnd * 1103515245 + 12345) % 2147483648; return rnd % n + 1 end
local Point = {}
Point.__index = Point
function Point.new(x, y) return setmetatable({x = x, y = y}, Point) end
function Point:dist(o) local a, b = self.x - o.x, self.y - o.y; return a * a + b * b end
local points = {}
for i = 1, 400 do points[i] = Point.new(random(1000), random(1000)) end
local best = 0
for i = 1, #points do for j = i + 1, #points do
	local d = points[i]:dist(points[j])
	if d > best then best = d end
end end
print('far', best)
local words, count = {}, {}
for i = 1, 20000 do words[i] = string.format('w%d-%s', random(3000), ('xyz'):rep(random(3))) end
for _, w in ipairs(words) do count[w] = (count[w] or 0) + 1 end
table.sort(words, function(a, b) if count[a] ~= count[b] then return count[a] > count[b] end return a < b end)
print('words', words[1], words[#words])
local text = table.concat(words, ' ')
local n = 0
for a, b in text:gmatch('w(%d+)%-(%a+)') do if #b > 3 and tonumber(a) % 2 == 0 then n = n + 1 end end
print('matches', n, #text:gsub('x', 'yy'))
local function queens(n)
	local rows, d1, d2, found = {}, {}, {}, 0
	local function place(c)
		if c > n then found = found + 1 return end
		for r = 1, n do
			if not rows[r] and not d1[r + c] and not d2[r - c + n] then
				rows[r], d1[r + c], d2[r - c + n] = true, true, true
				place(c + 1)
				rows[r], d1[r + c], d2[r - c + n] = nil, nil, nil
			end
		end
	end
	place(1)
	return found
end
print('queens', queens(8))
END
	cat >test.lua <<'END'
-- numbers, coroutines, matrices, a small parser
local function sieve(n)
	local s, c = {}, 0
	for i = 2, n do if not s[i] then c = c + 1; for j = i * i, n, i do s[j] = true end end end
	return c
end
print('primes', sieve(200000))
local function matrix(n, f) local m = {}; for i = 1, n do m[i] = {}; for j = 1, n do m[i][j] = f(i, j) end end return m end
local function multiply(a, b)
	local n = #a
	return matrix(n, function(i, j) local s = 0; for k = 1, n do s = s + a[i][k] * b[k][j] end return s end)
end
local m = multiply(matrix(60, function(i, j) return i + j / 7 end), matrix(60, function(i, j) return i * j % 11 end))
print('matrix', string.format('%.3f', m[17][23]))
local function parse(s)
	local pos = 1
	local expression
	local function peek() return s:sub(pos, pos) end
	local function atom()
		if peek() == '(' then pos = pos + 1; local v = expression(); pos = pos + 1; return v end
		local a, b = s:find('^%d+', pos)
		pos = b + 1
		return tonumber(s:sub(a, b))
	end
	local function term()
		local v = atom()
		while peek() == '*' do pos = pos + 1; v = v * atom() % 1000003 end
		return v
	end
	expression = function()
		local v = term()
		while peek() == '+' do pos = pos + 1; v = v + term() end
		return v
	end
	return expression()
end
local source = ('(1+2*3)*(4+5)+7*8+'):rep(600) .. '1'
print('parse', parse(source))
local function tree(d) if d == 0 then return {} end return {tree(d - 1), tree(d - 1)} end
local function walk(t) if t[1] then walk(t[1]); walk(t[2]) else coroutine.yield(1) end end
local leaves = 0
for v in coroutine.wrap(function() walk(tree(13)) end) do leaves = leaves + v end
print('leaves', leaves)
END
}

recipe_run() {
	local input=$1
	shift
	"$@" "$input.lua"
}
