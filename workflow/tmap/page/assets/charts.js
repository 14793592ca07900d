// Charts as SVG: a few marks, an axis, and words.

function ticks(low, high, wanted = 5) {
  const span = high - low || 1;
  const power = 10 ** Math.floor(Math.log10(span / wanted));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => span / k <= wanted) || power * 10;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

const linear = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);

function xAxis(at, low, high, y, show = number, n = 5) {
  return ticks(low, high, n).map((value) => [
    svg("line", { class: "axis", x1: at(value), x2: at(value), y1: y, y2: y + 4 }),
    svg("text", { x: at(value), y: y + 16, "text-anchor": "middle" }, show(value)),
  ]);
}

// Intervals with a dot each. rows: {name, value, low, high, runs: [..], title}
function intervals(rows, { show, zero = null, label, aria, width = 560 }) {
  const ends = rows.flatMap((row) => [row.value, row.low, row.high, ...(row.runs || [])]).filter((v) => v !== null && v !== undefined);
  if (zero !== null) ends.push(zero);
  let low = Math.min(...ends), high = Math.max(...ends);
  const pad = (high - low || 0.1) * 0.06;
  [low, high] = [low - pad, high + pad];
  const left = Math.min(220, 30 + 7 * Math.max(4, ...rows.map((row) => row.name.length))), step = 34, end = 12 + step * rows.length;
  const at = linear(low, high, left, width - 90);
  return svg("svg", { viewBox: `0 0 ${width} ${end + 38}`, role: "img", "aria-label": aria },
    svg("line", { class: "axis", x1: left, x2: width - 90, y1: end, y2: end }),
    xAxis(at, low, high, end, (v) => (v === 0 ? "0" : show(v)), 6),
    zero === null ? null : svg("line", { class: "zero", x1: at(zero), x2: at(zero), y1: 4, y2: end }),
    rows.map((row, i) => {
      const y = 12 + step * (i + 0.5) - 4;
      return svg("g", null,
        svg("title", null, row.title || `${row.name}: ${show(row.value)}`),
        svg("text", { class: "name", x: left - 10, y: y + 4, "text-anchor": "end" }, row.name),
        row.low === null || row.low === undefined ? null : svg("line", { class: "bound", x1: at(row.low), x2: at(row.high), y1: y, y2: y }),
        (row.runs || []).map((value) => svg("circle", { class: "run", cx: at(value), cy: y + 10, r: 2.6 })),
        svg("circle", { class: "dot", cx: at(row.value), cy: y, r: 5 }),
        svg("text", { x: width - 80, y: y + 4 }, show(row.value)));
    }),
    svg("text", { x: (left + width - 90) / 2, y: end + 33, "text-anchor": "middle" }, label));
}

// Points by evaluation. points: {x, y, error, open, title}; refs: [[value, words]]
function scatter(points, { label, refs = [], show = (v) => percent(v, 0), aria }) {
  const width = 520, height = 230, left = 44, bottom = height - 36;
  const ys = [...points.flatMap((p) => [p.y - (p.error || 0), p.y + (p.error || 0)]), ...refs.map(([value]) => value)];
  let low = Math.min(...ys), high = Math.max(...ys);
  const pad = (high - low || 0.1) * 0.08;
  [low, high] = [low - pad, high + pad];
  const last = Math.max(1, ...points.map((p) => p.x));
  const x = linear(0, last, left + 8, width - 12), y = linear(low, high, bottom, 10);
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": aria },
    ticks(low, high, 5).map((value) => [
      svg("line", { class: "axis", x1: left, x2: width - 8, y1: y(value), y2: y(value) }),
      svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, show(value)),
    ]),
    xAxis(x, 0, last, bottom, number, 6),
    refs.map(([value, words]) => [
      svg("line", { class: "ref", x1: left, x2: width - 8, y1: y(value), y2: y(value) }),
      svg("text", { x: width - 10, y: y(value) - 5, "text-anchor": "end" }, words),
    ]),
    points.map((p) => svg("g", null, svg("title", null, p.title),
      p.error ? svg("line", { class: "bound", x1: x(p.x), x2: x(p.x), y1: y(p.y - p.error), y2: y(p.y + p.error) }) : null,
      svg("circle", { class: p.open ? "raced" : "dot", cx: x(p.x), cy: y(p.y), r: 3.4 }))),
    svg("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, label));
}

function curve(xs, ys, { low, high, aria, show = (v) => percent(v, 0) }) {
  const width = 260, height = 120, left = 38, bottom = height - 22;
  const x = linear(Math.min(...xs), Math.max(...xs), left, width - 8), y = linear(low, high, bottom, 8);
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": aria },
    ticks(low, high, 3).map((value) => [
      svg("line", { class: "axis", x1: left, x2: width - 6, y1: y(value), y2: y(value) }),
      svg("text", { x: left - 5, y: y(value) + 4, "text-anchor": "end" }, show(value)),
    ]),
    xAxis(x, Math.min(...xs), Math.max(...xs), bottom, number, 4),
    svg("path", { class: "line", d: xs.map((value, i) => `${i ? "L" : "M"}${x(value).toFixed(1)},${y(ys[i]).toFixed(1)}`).join("") }));
}

// The pool's histogram with a subset's over it, both as shares of their own rows.
function histogram(edges, pool, part, aria) {
  const width = 300, height = 110, left = 4, bottom = height - 20;
  const share = (counts) => { const n = counts.reduce((a, b) => a + b, 0) || 1; return counts.map((k) => k / n); };
  const a = share(pool), b = part ? share(part) : [];
  const top = Math.max(...a, ...b, 1e-9);
  const x = linear(edges[0], edges[edges.length - 1], left, width - 4), y = linear(0, top, bottom, 6);
  const bars = (shares, kind, inset) => shares.map((value, i) => value ? svg("rect", {
    class: kind, x: x(edges[i]) + inset, width: Math.max(0.8, x(edges[i + 1]) - x(edges[i]) - 2 * inset - 0.6), y: y(value), height: Math.max(0, bottom - y(value)),
  }) : null);
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": aria },
    bars(a, "pool", 0), bars(b, "chosen", 1.4),
    svg("line", { class: "axis", x1: left, x2: width - 4, y1: bottom, y2: bottom }),
    [0, 1].map((end) => svg("text", { x: end ? width - 4 : left, y: height - 5, "text-anchor": end ? "end" : "start" }, number(end ? edges[edges.length - 1] : edges[0]))));
}

// A table of pairs whose cells are tinted by a share from -1 to 1. rows, columns: numbers of names
function heat(names, rows, columns, text, share, title) {
  return el("div", { class: "scroll" }, el("table", { class: "heat" },
    el("thead", null, el("tr", null, el("th"), columns.map((j) => el("th", { scope: "col" }, names[j])))),
    el("tbody", null, rows.map((i) => el("tr", null, el("th", { scope: "row" }, names[i]), columns.map((j) => {
      const is = share(i, j);
      const tint = is === null ? "transparent" : `color-mix(in srgb, var(${is < 0 ? "--bad" : "--chosen"}) ${Math.round(55 * Math.min(1, Math.abs(is)))}%, transparent)`;
      return el("td", { style: { background: tint }, title: title ? title(i, j) : null }, text(i, j));
    }))))));
}
