# SPDX-License-Identifier: Apache-2.0
"""pages.py CHROMIUM DIRECTORY: the pages of verdicts, as people use them.  Prints what is wrong, a line each; exit code 1 if anything is."""
import json
import os
import sys

import verdicts
from browser import Browser

wrong = []


def check(what, good, *more):
    if not good:
        wrong.append(what)
        print("FAIL:", what, *more)


# The least contrast of any text that is shown, and where.
CONTRAST = """(() => {
	const rgb = s => { const m = s.match(/[\\d.]+/g).map(Number); return m.length === 3 ? [...m, 1] : m; };
	const light = c => { const f = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }; return .2126 * f(c[0]) + .7152 * f(c[1]) + .0722 * f(c[2]); };
	const ground = e => {
		for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; }
		return matchMedia("(prefers-color-scheme: dark)").matches && !matchMedia("print").matches ? [0, 0, 0, 1] : [255, 255, 255, 1];
	};
	let least = 99, where = "";
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || /^(SCRIPT|STYLE|NOSCRIPT)$/.test(e.tagName) || !e.getClientRects().length) continue;
		const a = light(rgb(getComputedStyle(e).color)), b = light(ground(e));
		const r = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (r < least) { least = r; where = e.tagName + "." + e.className + " " + walk.currentNode.data.slice(0, 30); }
	}
	return [least, where];
})()"""


def quiet(b, what, path):
    check(what + ": the console is silent", not b.console, b.console[:3])
    check(what + ": nothing is loaded", [r for r in b.requests if not r.startswith("data:")] == ["file://" + os.path.abspath(path)], b.requests[:3])


def first_look(b, path, v):
    b.open(path)
    check("the heading is the sentence", b.eval("document.querySelector('h1').textContent") == v["sentence"])
    check("the whole verdict is in the page", b.eval("JSON.parse(document.getElementById('data').textContent).findings.length") == len(v["findings"]))
    check("every function has its row", b.eval("document.querySelectorAll('#functions-table tbody tr').length") == len(v["findings"]))
    check("gates come worst first", b.eval("[...document.querySelectorAll('#gates-table .state')].map(e => e.textContent).join()") == "fail,warn,pass,pass,skipped")
    check("the tree is drawn", b.eval("document.querySelectorAll('.f').length") > 40)
    check("significance is shown", b.eval("document.querySelectorAll('.f.solid').length > 0 && document.querySelectorAll('.f.weak').length > 0"))
    check("frames say their figures to those who do not see them", b.eval("[...document.querySelectorAll('.f')].every(e => /before/.test(e.ariaLabel))"))
    check("children lie inside their parents", b.eval("""(() => { const of = e => [parseFloat(e.style.left), parseFloat(e.style.left) + parseFloat(e.style.width)];
        const rows = {}; for (const e of document.querySelectorAll('.f')) (rows[e.style.top] ||= []).push(of(e));
        const tops = Object.keys(rows).sort((a, b) => parseFloat(a) - parseFloat(b));
        return tops.slice(1).every((t, i) => rows[t].every(c => rows[tops[i]].some(p => p[0] <= c[0] + 1e-6 && c[1] <= p[1] + 1e-6))); })()"""))


def flame_graph(b):
    name = b.eval("document.querySelector('.f[data-i=\"1\"]').textContent")
    b.click('.f[data-i="1"]')
    check("a click zooms", b.eval("document.querySelector('.f').textContent") == name and b.eval("document.querySelector('.f').style.width") == "100%")
    check("callers of what is zoomed stay in reach", b.eval("document.querySelectorAll('#trail button').length") == 1)
    b.key("Escape")
    check("Escape shows the whole tree", b.eval("document.querySelector('.f').textContent") == "all" and b.eval("document.getElementById('reset').disabled"))
    b.key("ArrowDown")
    check("the arrow down goes to a callee", b.eval("document.activeElement.dataset.i") == "1")
    b.key("ArrowRight")
    sibling = b.eval("document.activeElement.dataset.i")
    check("the arrow to the right to the next one", sibling != "1")
    b.key("ArrowLeft")
    b.key("ArrowUp")
    check("and back up", b.eval("document.activeElement.dataset.i") == "0")
    b.key("ArrowDown")
    b.key("Enter")
    check("Enter zooms", b.eval("document.querySelector('.f').dataset.i") == "1")
    b.click("#trail button")
    check("a caller's button goes back", b.eval("document.querySelector('.f').dataset.i") == "0")
    b.eval("document.activeElement.blur()")
    b.key("/")
    check("/ goes to the search", b.eval("document.activeElement.id") == "find")
    b.type("lsm::")
    b.until("document.querySelectorAll('.f.hit').length > 0")
    check("only what matches is marked", b.eval("[...document.querySelectorAll('.f.hit')].every(e => e.ariaLabel.includes('lsm::'))"))
    check("how much that is, is said", "of the whole" in b.eval("document.getElementById('detail').textContent"))
    b.key("Escape")
    check("Escape ends the search", b.eval("document.querySelectorAll('.f.hit').length") == 0)
    for mode in ("before", "after", "diff"):
        b.click(f"input[value={mode}]")
        check("mode " + mode, b.eval("document.querySelectorAll('.f.h0, .f.h1, .f.h2').length > 0") == (mode != "diff"))


def tables(b):
    values = "[...document.querySelectorAll('#functions-table tbody tr')].map(r => r.cells[5].dataset.v).filter(v => v !== undefined).map(Number)"
    b.click("#functions-table th:nth-child(6) button")
    v = b.eval(values)
    check("a click on a heading sorts, the largest first", v == sorted(v, reverse=True) and len(v) > 100)
    b.key("Enter")
    v = b.eval(values)
    check("the same by key, the other way", v == sorted(v) and b.eval("document.querySelector('[aria-sort]').getAttribute('aria-sort')") == "ascending")
    b.click(".chips input[value=unchanged]")
    check("verdicts can be left out", b.eval("[...document.querySelectorAll('#functions-table tr.unchanged')].every(r => r.hidden)"))
    b.click("#filter")
    b.type("json::")
    b.until("[...document.querySelectorAll('#functions-table tbody tr')].filter(r => !r.hidden).every(r => r.textContent.includes('json::'))")
    b.click(".more")
    check("long names unfold", b.eval("document.querySelector('th.open .more').ariaExpanded") == "true")


def looks(b, path, what):
    for dark in (False, True):
        b.open(path, dark=dark)
        least, where = b.eval(CONTRAST)
        check(f"{what}: text is readable, {'dark' if dark else 'light'}", least >= 4.5, round(least, 2), where)
    for width in (320, 390, 768):
        b.open(path, width=width, height=800)
        check(f"{what}: nothing is wider than {width} pixels", b.eval("document.documentElement.scrollWidth") <= width, b.eval("document.documentElement.scrollWidth"))
    b.open(path, dark=True, media="print")
    check(what + ": paper is light", b.eval("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)")
    check(what + ": no controls on paper", b.eval("[...document.querySelectorAll('.tools, .chips')].every(e => !e.getClientRects().length)"))
    check(what + ": readable on paper", b.eval(CONTRAST)[0] >= 4.5)
    b.pdf(path + ".pdf")
    check(what + ": prints", os.path.getsize(path + ".pdf") > 5000)
    quiet(b, what, path)


def hostile(b, path, v):
    b.open(path)
    quiet(b, "hostile names", path)
    check("nothing of a name runs or becomes an element", b.eval("typeof window.pwned === 'undefined' && !document.querySelector('img, x, main script')"))
    check("no element has a handler", b.eval("![...document.querySelectorAll('*')].some(e => e.getAttributeNames().some(n => n.startsWith('on')))"))
    names = b.eval("[...document.querySelectorAll('#functions-table th.name code')].map(e => e.textContent)")
    check("names are shown as they are", all(n in names for n in verdicts.HOSTILE[:6]))
    seen = b.eval("document.body.innerText")
    check("what turns text is seen, not obeyed", not any(c in seen for c in "\u202e\u2066\u200b\x1b\x07"))
    check("the verdict survives its island", b.eval("JSON.parse(document.getElementById('data').textContent).findings.map(f => f.name)") == [f["name"] for f in v["findings"]])
    b.eval("document.querySelector('.f:nth-child(3)').click()")
    check("and in the tree", b.eval("typeof window.pwned") == "undefined" and not b.console)


def without_scripts(b, path, v):
    b.call("Emulation.setScriptExecutionDisabled", value=True)
    b.view(1200, 900)
    b.call("Page.navigate", url="file://" + os.path.abspath(path))
    # Evaluation by the protocol still works; the page's own script does not.
    b.until("document.readyState === 'complete' && document.querySelectorAll('#functions-table tbody tr').length === %d" % len(v["findings"]))
    check("without scripts there are the sentence, gates and functions", b.eval("document.querySelector('h1').textContent") == v["sentence"]
          and b.eval("document.querySelectorAll('#gates-table tbody tr').length") == len(v["gates"]) and b.eval("document.documentElement.dataset.ready === undefined"))
    b.call("Emulation.setScriptExecutionDisabled", value=False)


def weekly(b, path):
    b.open(path)
    check("a report has its panels", b.eval("[...document.querySelectorAll('main > section')].map(s => s.id).join()")
          == "glance,gates,coverage,drops,functions,losses,outputs,decisions")
    check("gates have their weeks as a line", b.eval("document.querySelectorAll('#gates-table svg.spark').length") == 6)
    check("a row a host, a field a day", b.eval("[...document.querySelectorAll('.map tbody tr')].every(r => r.querySelectorAll('td[class^=m]').length === 21)")
          and b.eval("document.querySelectorAll('.map tbody tr').length") == 40)
    check("a host that went silent is first", b.eval("document.querySelector('.map tr.silent th').textContent") == "web-07.eu-west")
    check("fields say their number to those who do not see them", b.eval("[...document.querySelectorAll('.map td span')].every(s => /^\\d+$/.test(s.textContent))"))


def main():
    binary, place = sys.argv[1:]
    of = {k: json.load(open(f"{place}/{k}.json", encoding="utf-8")) for k in ("typical", "empty", "hostile", "large")}
    page = {k: f"{place}/{k}.html" for k in of}
    with Browser(binary) as b:
        first_look(b, page["typical"], of["typical"])
        flame_graph(b)
        quiet(b, "typical", page["typical"])
        b.open(page["typical"])
        tables(b)
        for kind in ("typical", "empty", "hostile"):
            looks(b, page[kind], kind)
        hostile(b, page["hostile"], of["hostile"])
        b.open(page["large"])
        check("a large verdict has a graph that can be used", 100 < b.eval("document.querySelectorAll('.f').length") < 6000)
        quiet(b, "large", page["large"])
        check("and a page of bounded size", os.path.getsize(page["large"]) < 6 << 20, os.path.getsize(page["large"]))
        weekly(b, f"{place}/weeks.html")
        for kind in ("weeks", "weeks-hostile"):
            looks(b, f"{place}/{kind}.html", kind)
        check("nothing of a host's name runs", b.eval("typeof window.pwned === 'undefined' && !document.querySelector('img, x, main script')"))
        without_scripts(b, page["typical"], of["typical"])
    sys.exit(1 if wrong else 0)


main()
