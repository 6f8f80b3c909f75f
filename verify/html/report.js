/* SPDX-License-Identifier: Apache-2.0 */
/* The page is complete without this but for the flame graph: tables become sortable and lists filtered, the graph is drawn. */
(function () {
"use strict";
const $ = id => document.getElementById(id);
const make = (tag, cls, text) => {
	const e = document.createElement(tag);
	if (cls) e.className = cls;
	if (text !== undefined) e.textContent = text;
	return e;
};
const island = $("data");
let data = {};
try {
	if (island) data = JSON.parse(island.textContent);
} catch (e) {
	data = {};
}

/* ---------------------------------------------------------------- numbers, as the page writes them */

const trim = v => { const s = Math.abs(v) * 100; return s.toFixed(s >= 99.95 ? 0 : s >= 9.995 ? 1 : s >= .0995 ? 2 : s > 0 ? 3 : 0) + " %"; };
const share = v => Number.isFinite(v) ? (v < 0 ? "−" : "") + trim(v) : "–";
const change = v => {
	if (!Number.isFinite(v)) return "–";
	const s = Math.abs(v) * 100;
	if (s < .005) return "0 %";
	return (v < 0 ? "−" : v > 0 ? "+" : "") + s.toFixed(s >= 99.95 ? 0 : s >= .995 ? 1 : 2) + " %";
};

/* What would not be seen, or would turn the text around it, becomes visible. */
const visible = s => s.replace(/[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
	c => c < "\u0100" ? "\\x" + c.charCodeAt(0).toString(16).padStart(2, "0") : "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"))
	|| "(no name)";

/* ---------------------------------------------------------------- tables */

function sortable(table) {
	const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
	if (body.rows.length < 2 || table.classList.contains("map")) return;
	const key = (row, i) => {
		const cell = row.cells[i];
		if (!cell) return null;
		if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
		if (heads[i].classList.contains("n")) return null;
		return cell.textContent.trim();
	};
	heads.forEach((th, i) => {
		if (!th.textContent) return;
		const button = make("button", "", th.textContent);
		button.type = "button";
		th.textContent = "";
		th.append(button);
		button.addEventListener("click", () => {
			/* Numbers begin with the largest, words with the first. */
			const first = th.classList.contains("n") ? "descending" : "ascending";
			const now = th.getAttribute("aria-sort");
			const next = now === null ? first : now === "ascending" ? "descending" : "ascending";
			const sign = next === "ascending" ? 1 : -1;
			heads.forEach(h => h.removeAttribute("aria-sort"));
			th.setAttribute("aria-sort", next);
			const rows = [...body.rows].map((row, at) => ({row, at, k: key(row, i)}));
			rows.sort((a, b) => a.k === null || b.k === null ? (a.k === null) - (b.k === null) || a.at - b.at
				: (a.k < b.k ? -sign : a.k > b.k ? sign : a.at - b.at));
			body.append(...rows.map(r => r.row));
		});
	});
	/* On a phone a row is a card, and each figure says what it is. */
	if (table.querySelector("th.name, td.why")) {
		table.parentElement.classList.add("cards");
		const words = heads.map(h => h.textContent);
		for (const row of body.rows)
			[...row.cells].forEach((c, i) => { if (c.tagName === "TD" && words[i] && !c.querySelector(".state")) c.dataset.l = words[i]; });
	}
}

/* A button where a name is cut. */
function fold_names() {
	for (const th of document.querySelectorAll("th.name")) {
		const code = th.querySelector("code");
		if (!code || th.querySelector(".more") || code.scrollHeight <= code.clientHeight + 2) continue;
		const b = make("button", "more", "whole name");
		b.type = "button";
		b.setAttribute("aria-expanded", "false");
		b.addEventListener("click", () => {
			const open = th.classList.toggle("open");
			b.textContent = open ? "less" : "whole name";
			b.setAttribute("aria-expanded", String(open));
		});
		th.append(b);
	}
}

function chips() {
	const set = document.querySelector(".chips"), table = $("functions-table");
	if (!set || !table) return;
	const label = make("label", "find", "Filter "), text = make("input");
	text.type = "search";
	text.id = "filter";
	text.placeholder = "part of a name";
	label.append(text);
	const count = make("span", "hint"), rows = [...table.tBodies[0].rows];
	count.setAttribute("role", "status");
	set.append(label, count);
	set.hidden = false;
	const apply = () => {
		const on = new Set([...set.querySelectorAll("input:checked")].map(i => i.value));
		const part = text.value.toLowerCase();
		let shown = 0;
		for (const row of rows) {
			const here = on.has(row.className) && row.cells[0].textContent.toLowerCase().includes(part);
			row.hidden = !here;
			shown += here;
		}
		count.textContent = shown === rows.length ? "" : shown + " of " + rows.length + " shown";
	};
	set.addEventListener("input", apply);
}

/* ---------------------------------------------------------------- the flame graph */

const LINE = 21;

function flame(tree) {
	const graph = $("graph"), detail = $("detail"), trail = $("trail"), find = $("find"), reset = $("reset");
	/* Depth first: a node comes after its parent, and what is below it comes next.  Node 0 is the whole. */
	const raw = tree.nodes, n = raw.length;
	const depth = new Int32Array(n), name = new Array(n), before = new Float64Array(n), after = new Float64Array(n);
	const parent = new Int32Array(n), end = new Int32Array(n);
	const open = [];
	for (let i = 0; i < n; i++) {
		const [p, id, b, a] = raw[i];
		parent[i] = i === 0 ? -1 : open.includes(p) ? p : 0;
		name[i] = visible(String(tree.names[id]));
		before[i] = b;
		after[i] = a;
		while (open.length && open[open.length - 1] !== parent[i]) end[open.pop()] = i;
		depth[i] = open.length;
		open.push(i);
	}
	while (open.length) end[open.pop()] = n;

	const finding = new Map((data.findings || []).map(f => [visible(f.name), f]));
	const significant = i => i === 0 ? data.outcome === "win" || data.outcome === "loss"
		: ["regressed", "improved"].includes((finding.get(name[i]) || {}).verdict);
	let mode = "diff", zoom = 0, focus = 0, term = "";
	const size = i => mode === "before" ? before[i] : mode === "after" ? after[i] : before[i] + after[i];
	const level = i => {
		const most = Math.max(before[i], after[i]), r = most > 0 ? (after[i] - before[i]) / most : 0, s = Math.abs(r);
		const l = s < .01 ? 0 : s < .05 ? 1 : s < .15 ? 2 : s < .35 ? 3 : 4;
		return r < 0 && l ? -l : l;
	};
	const hue = s => {
		let h = 7;
		for (let k = 0; k < s.length; k++) h = h * 31 + s.charCodeAt(k) | 0;
		return (h >>> 3) % 6;
	};
	const ratio = i => before[i] > 0 ? (after[i] > 0 ? change(after[i] / before[i] - 1) : "gone") : "new";
	const said = i => name[i] + ": " + share(before[i]) + " before, " + share(after[i]) + " after, " + ratio(i);

	function draw() {
		const width = graph.clientWidth || 800, whole = size(zoom) || 1, least = .7 / width;
		const x = new Map(), made = document.createDocumentFragment();
		let deepest = 0;
		x.set(zoom, 0);
		const cursor = new Map([[zoom, 0]]);
		for (let i = zoom; i < end[zoom];) {
			const w = size(i) / whole, from = i === zoom ? 0 : cursor.get(parent[i]);
			if (i !== zoom) cursor.set(parent[i], from + w);
			if (w < least) {
				i = end[i];
				continue;
			}
			cursor.set(i, from);
			const row = depth[i] - depth[zoom], e = make("div");
			const solid = significant(i);
			e.className = "f " + (mode === "diff" ? "c" + level(i) + (solid ? " solid" : " weak") : "h" + hue(name[i]))
				+ (term && name[i].toLowerCase().includes(term) ? " hit" : "");
			e.style.left = from * 100 + "%";
			e.style.width = w * 100 + "%";
			e.style.top = row * LINE + "px";
			if (w * width > 24) e.textContent = name[i];
			else e.style.padding = "0";
			e.dataset.i = i;
			e.tabIndex = i === focus ? 0 : -1;
			e.setAttribute("role", "treeitem");
			e.setAttribute("aria-level", row + 1);
			e.setAttribute("aria-label", said(i));
			if (end[i] > i + 1) e.setAttribute("aria-expanded", "true");
			deepest = Math.max(deepest, row);
			made.append(e);
			i++;
		}
		graph.replaceChildren(made);
		graph.classList.toggle("searching", term !== "");
		graph.style.height = (deepest + 1) * LINE + 2 + "px";
		if (!graph.querySelector("[tabindex='0']") && graph.firstChild) {
			focus = zoom;
			graph.firstChild.tabIndex = 0;
		}
		trail.replaceChildren(...ancestors(zoom).map(i => {
			const b = make("button", "", name[i]);
			b.type = "button";
			b.addEventListener("click", () => go(i));
			return b;
		}));
		reset.disabled = zoom === 0;
	}
	const ancestors = i => {
		const up = [];
		for (let p = parent[i]; p >= 0; p = parent[p]) up.unshift(p);
		return up;
	};
	const element = i => graph.querySelector("[data-i='" + i + "']");

	function tell(i) {
		detail.replaceChildren(make("code", "", name[i]), " " + share(before[i]) + " of the whole before, " + share(after[i])
			+ " after: " + ratio(i) + " (" + change(after[i] - before[i]) + " of the whole).");
		const f = finding.get(name[i]);
		if (f) {
			const apart = f.low !== null && f.high !== null ? ", 95 % " + change(f.low) + " to " + change(f.high) : "";
			detail.append(" Its own cost: " + f.verdict + " " + (f.change !== null ? change(f.change) : "") + apart + ".");
		}
	}
	function walk(i) {
		const was = graph.querySelector("[tabindex='0']"), e = element(i);
		if (!e) return;
		if (was) was.tabIndex = -1;
		e.tabIndex = 0;
		focus = i;
		e.focus();
		tell(i);
	}
	function go(i) {
		zoom = focus = i;
		draw();
		walk(i);
	}
	/* The next element of the same parent that is drawn. */
	function sibling(i, step) {
		const p = parent[i];
		if (i === zoom || p < 0) return i;
		const drawn = [...graph.children].map(e => Number(e.dataset.i)).filter(k => parent[k] === p && k !== zoom);
		return drawn[drawn.indexOf(i) + step] ?? i;
	}
	function search() {
		term = find.value.trim().toLowerCase();
		draw();
		if (!term) {
			detail.textContent = "";
			return;
		}
		/* Only the uppermost of nested ones, so that nothing counts twice. */
		let frames = 0, b = 0, a = 0;
		for (let i = 1, until = 0; i < n; i++) {
			if (!name[i].toLowerCase().includes(term)) continue;
			frames++;
			if (i < until) continue;
			b += before[i];
			a += after[i];
			until = end[i];
		}
		detail.textContent = frames === 0 ? "Nothing has “" + find.value.trim() + "” in its name."
			: frames + (frames === 1 ? " frame: " : " frames: ") + share(b) + " of the whole before, " + share(a) + " after.";
	}

	graph.addEventListener("click", e => { const f = e.target.closest(".f"); if (f) go(Number(f.dataset.i)); });
	graph.addEventListener("mouseover", e => { const f = e.target.closest(".f"); if (f) tell(Number(f.dataset.i)); });
	graph.addEventListener("keydown", e => {
		const i = focus, moves = {
			ArrowDown: () => { const c = [...graph.children].find(k => parent[Number(k.dataset.i)] === i); if (c) walk(Number(c.dataset.i)); },
			ArrowUp: () => { if (i !== zoom) walk(parent[i]); else if (zoom !== 0) go(parent[zoom]); },
			ArrowLeft: () => walk(sibling(i, -1)), ArrowRight: () => walk(sibling(i, 1)),
			Home: () => walk(zoom), Enter: () => go(i), " ": () => go(i),
		};
		if (!moves[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
		e.preventDefault();
		moves[e.key]();
	});
	document.addEventListener("keydown", e => {
		if (e.ctrlKey || e.metaKey || e.altKey) return;
		if (e.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
			e.preventDefault();
			find.focus();
		} else if (e.key === "Escape") {
			if (document.activeElement === find && find.value) {
				find.value = "";
				search();
			} else if (zoom !== 0) {
				go(0);
			}
		}
	});
	find.addEventListener("input", search);
	reset.addEventListener("click", () => go(0));
	for (const r of document.querySelectorAll("input[name=mode]"))
		r.addEventListener("change", () => {
			mode = r.value;
			document.querySelector("#flame .legend").hidden = mode !== "diff";
			draw();
		});
	for (const e of document.querySelectorAll("#flame .tools, #flame .legend, #keys")) e.hidden = false;
	let last = 0;
	new ResizeObserver(() => {
		if (graph.clientWidth !== last) {
			last = graph.clientWidth;
			draw();
		}
	}).observe(graph);
	draw();
	tell(0);
}

/* ---------------------------------------------------------------- the page */

document.querySelectorAll("table").forEach(sortable);
chips();
fold_names();
if ($("graph") && data.calltree && data.calltree.nodes.length) flame(data.calltree);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(d => { d.open = true; }));
if (island && data.kind) {
	const a = make("a", "", "Save the JSON"), p = make("p");
	a.href = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2)], {type: "application/json"}));
	a.download = data.kind + ".json";
	p.append(a);
	document.querySelector("footer").append(p);
}
document.documentElement.dataset.ready = "1";
})();
