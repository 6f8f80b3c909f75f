#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Single instructions as pgo/core/insn.h sees them, against LLVM's disassembler: kind and target of some hundred
# thousand AArch64 words, half of them in the group of the branches; kind, length and target of all that pgo itself is
# made of, on x86-64.
#
# Exit 0: all alike; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_tools
need llvm-objdump llvm-objcopy
N=${INSN_WORDS:-300000}
# Words that an older LLVM does not know may well be branches of newer processors.
NEW=$(($(tests/tools.sh --version llvm-objdump) >= 22))
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT

tool insn_tool

# disassembled FILE.o: `ADDRESS KIND TARGET`, by mnemonic
disassembled() {
	"${TOOL[llvm-objdump]}" -d "$@" | awk '
		/^ *[0-9a-f]+:/ {
			a = $1; sub(/:/, "", a); m = $2; k = "other"; t = 0
			if (before != "") { a = before; before = "" }
			if ($3 == "" && m ~ /^(lock|rep|repe|repne)$/) { before = a; next } # a line of its own
			if (m == "notrack" || m == "bnd") m = $3
			if (m == "<unknown>") k = "unknown"
			else if (m ~ /^(b|bc)\.[a-z][a-z]$/ || m ~ /^(cb|tb)n?z$/ || m ~ /^cb[bh]?(gt|ge|hi|hs|eq|ne|lt|lo|le|ls)$/) k = "cond"
			else if (m ~ /^j/ && m !~ /^jmp/ || m ~ /^loop/) k = "cond"
			else if (m == "b") k = "jump"
			else if (m == "bl") k = "call"
			else if (m ~ /^(jmp|call)/) k = (m ~ /^j/ ? "jump" : "call") ($0 ~ /[ \t]\*/ ? "-indirect" : "")
			else if (m ~ /^br(a[ab]z?)?$/) k = "jump-indirect"
			else if (m ~ /^blr(a[ab]z?)?$/) k = "call-indirect"
			else if (m ~ /^(retq?|ret(a[ab](sppcr?)?)?|eret(a[ab])?|drps|texit)$/) k = "ret"
			else if (m ~ /^(brk|hlt|udf|ud[012])l?$/) k = "trap"
			else if (m ~ /^nop[wl]?$/ || ($2 ~ /^(data16|cs|rep)$/ && $0 ~ /[ \t]nop[wl]?([ \t]|$)/)) k = "nop"
			if (k == "cond" || k == "jump" || k == "call") { t = $0; sub(/ *<[^<]*>$/, "", t); sub(/.*0x/, "", t) }
			print a, k, t
		}'
}

# alike WANT GOT LEAST: no line differs (of words LLVM does not know, only that they lead nowhere), of at least LEAST lines
alike() {
	paste -d ' ' "$1" "$2" | awk -v least="$3" -v new="$NEW" '
		$1 != $4 || ($2 == "unknown" ? new && $5 != "other" : $2 != $5 || $3 != $6) { if (bad++ < 10) print }
		{ n[$2]++ }
		END {
			for (k in n) printf "%s %d  ", k, n[k]
			print ""
			for (i = split("cond jump jump-indirect call call-indirect ret trap nop other", kinds, " "); i > 0; i--) if (n[kinds[i]] < least) { print "too few of", kinds[i]; bad++ }
			exit bad > 0
		}'
}

for seed in 1 2; do
	"$T/insn_tool" words $seed "$N" >"$T/words"
	"${TOOL[llvm-objcopy]}" -I binary -O elf64-littleaarch64 --rename-section .data=.text,code,alloc,contents "$T/words" "$T/words.o"
	disassembled --no-show-raw-insn --mattr=+all "$T/words.o" >"$T/want"
	"$T/insn_tool" arm64 0 <"$T/words" | cut -d ' ' -f 1,3,4 >"$T/got"
	# NOP is one word of 2^32
	expect "AArch64: $N words are what LLVM says" alike <(cat "$T/want"; echo "0 nop 0") \
		<(cat "$T/got"; printf '\037\040\003\325' | "$T/insn_tool" arm64 0 | cut -d ' ' -f 1,3,4) 1
	cat "$T/log"
done

if [ "$(uname -m)" = x86_64 ]; then
	read -r addr offset size < <(readelf -SW "$PGO" | sed -n 's/.* \.text *PROGBITS *\([0-9a-f]*\) \([0-9a-f]*\) \([0-9a-f]*\) .*/\1 \2 \3/p')
	tail -c +$((0x$offset + 1)) "$PGO" | head -c $((0x$size)) | "$T/insn_tool" x86 "$addr" >"$T/all"
	disassembled --no-show-raw-insn -j .text "$PGO" >"$T/want"
	cut -d ' ' -f 1,3,4 "$T/all" >"$T/got"
	# lengths show in the addresses; hlt is the only trap of a C program, if any
	expect "x86-64: all of pgo's instructions are what LLVM says" alike "$T/want" "$T/got" 0
	cat "$T/log"
	# shellcheck disable=SC2016 # fields of awk
	expect "x86-64: branches of every kind were among them" awk '{ n[$2]++ } END { exit !(n["cond"] > 1000 && n["call-indirect"] > 10 && n["jump-indirect"] > 0) }' "$T/want"
fi
finish
