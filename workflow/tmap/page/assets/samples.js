// Samples: every row of the page in a virtual table, with filters, search and sorting.

const ROW = 34, HEAD = 36, AROUND = 100;

// The unpacked rows: numbers as typed arrays, texts of the rows that have one.
async function unpackSamples(packed) {
  const [ids, lengths, at] = await Promise.all([unpackTexts(packed.ids), unpackIntegers(packed.lengths), packed.at ? unpackIntegers(packed.at) : null]);
  const columns = {};
  for (const column of packed.columns) {
    const raw = await unpackFloats(column.raw), scaled = {};
    for (const [how, is] of Object.entries(column.scaled)) scaled[how] = typeof is === "string" ? await unpackFloats(is) : is;
    columns[column.name] = { raw, scaled };
  }
  const subsets = [];
  for (const subset of packed.subsets) {
    subsets.push({ ...subset, chosen: await unpackBits(subset.chosen, packed.n), rank: subset.rank ? await unpackIntegers(subset.rank) : null });
  }
  const texts = new Map();
  for (const chunk of packed.texts) for (const text of await unpackTexts(chunk)) texts.set(text.i, text);
  const rows = { ...packed, ids, lengths, at, columns, subsets, texts };
  rows.poolRow = (i) => (at ? at[i] : i);
  rows.ofPool = (row) => (at ? at.indexOf(row) : row);
  rows.number = new Map(ids.map((id, i) => [id, i]));
  return rows;
}

// What each column of a subset adds to a row's score; null where the subset has no weights.
function contributions(rows, subset, i) {
  if (!subset?.weights) return null;
  return subset.columns.map((name, j) => {
    const { raw, scaled } = rows.columns[name], is = scaled[subset.normalise];
    if (Number.isNaN(raw[i])) return 0;
    if (is instanceof Float32Array) return subset.weights[j] * is[i];
    const [low, high] = is;
    return high > low ? subset.weights[j] * Math.min(1, Math.max(0, (raw[i] - low) / (high - low))) : 0;
  });
}

function leftOut(rows) {
  const said = [];
  if (rows.n < rows.n_pool) said.push(`${count(rows.n_pool - rows.n)} of the ${count(rows.n_pool)} rows are not in this page: it keeps both ends and the cut of every selection, then chosen rows and a sample of the others.`);
  if (rows.texts.size < rows.n) said.push(`Texts of ${count(rows.texts.size)} of ${count(rows.n)} rows are: those at the top, around each cut, outliers, then chosen rows and a sample of the others. All are in pool.parquet.`);
  said.push(`Numbers are rounded to about 4 digits.`);
  return said.join(" ");
}

function drawSamples(data, rows, state) {
  const room = body("samples");
  const names = Object.keys(rows.columns);
  const spec = [
    { key: "chosen", name: "", width: "2.6rem" }, { key: "rank", name: "rank", width: "5rem", num: true },
    { key: "id", name: "id", width: "minmax(11rem, .7fr)" }, { key: "start", name: "text", width: "minmax(16rem, 2.6fr)" },
    ...names.map((name) => ({ key: `c:${name}`, name, width: "minmax(5.6rem, .5fr)", num: true })),
    { key: "length", name: "characters", width: "6rem", num: true },
  ];
  const least = `${34 + 5.6 * names.length + 6}rem`;
  let filter = "all", other = -1, words = "", sort = { key: "rank", down: false }, shown = new Int32Array(0), cursor = 0, haystack = null;

  const subsetOf = () => rows.subsets[state.subset];
  const rankOf = (i) => subsetOf()?.rank?.[i] ?? null;

  const passes = {
    all: () => true,
    chosen: (i) => subsetOf()?.chosen[i] === 1,
    "left out": (i) => subsetOf()?.chosen[i] !== 1,
    "around the cut": (i) => { const rank = rankOf(i); return rank !== null && Math.abs(rank - subsetOf().size + 0.5) <= AROUND; },
    "with text": (i) => rows.texts.has(i),
    "unscored": (i) => names.some((name) => Number.isNaN(rows.columns[name].raw[i])),
    "only here, not in": (i) => subsetOf()?.chosen[i] === 1 && rows.subsets[other]?.chosen[i] !== 1,
    "not here, only in": (i) => subsetOf()?.chosen[i] !== 1 && rows.subsets[other]?.chosen[i] === 1,
    "here and also in": (i) => subsetOf()?.chosen[i] === 1 && rows.subsets[other]?.chosen[i] === 1,
  };
  const compares = (name) => name.includes(" in") && name.includes("here");

  const note = el("p", { class: "soft", role: "status" });
  const inner = el("div", { style: { position: "relative" } });
  const head = el("div", { class: "head", role: "row" });
  const list = el("div", { class: "virtual", tabindex: "0", role: "grid", "aria-label": "Samples" }, head, inner);
  list.style.setProperty("--columns", spec.map((c) => c.width).join(" "));
  list.style.setProperty("--least", least);
  const heads = spec.map((column) => el("button", { type: "button", role: "columnheader", tabindex: "-1", class: column.num ? "num" : null, title: column.name || "chosen first", onclick: () => {
    const down = sort.key === column.key ? !sort.down : column.key.startsWith("c:") || column.key === "length" || column.key === "chosen";
    sort = { key: column.key, down };
    refresh();
  } }, column.name || "✓"));
  head.append(...heads);

  function keyOf() {
    const { key } = sort;
    if (key === "rank") return (i) => rankOf(i) ?? (subsetOf()?.chosen[i] ? -1 : Infinity);
    if (key === "chosen") return (i) => subsetOf()?.chosen[i] ?? 0;
    if (key === "length") return (i) => rows.lengths[i];
    if (key === "id") return (i) => rows.ids[i];
    if (key === "start") return (i) => rows.texts.get(i)?.s ?? "\uffff";
    const raw = rows.columns[key.slice(2)].raw;
    return (i) => raw[i];
  }

  function found(i) {
    if (!words) return true;
    if (rows.ids[i].toLowerCase().includes(words)) return true;
    return haystack.get(i)?.includes(words) ?? false;
  }

  function refresh() {
    if (words && !haystack) haystack = new Map([...rows.texts].map(([i, text]) => [i, text.p.map(([part]) => part).join(" ").toLowerCase()]));
    const pass = passes[filter], picked = new Int32Array(rows.n);
    let n = 0;
    for (let i = 0; i < rows.n; i++) if (pass(i) && found(i)) picked[n++] = i;
    const key = keyOf(), sign = sort.down ? -1 : 1, order = Int32Array.from({ length: n }, (_, at) => at);
    if (sort.key === "id" || sort.key === "start") {
      const keys = Array.from(picked.subarray(0, n), key);
      order.sort((a, b) => sign * (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0) || a - b);
    } else {
      const keys = new Float64Array(n);
      for (let at = 0; at < n; at++) {
        const value = key(picked[at]);
        keys[at] = Number.isNaN(value) ? sign * Infinity : value; // unscored rows are last
      }
      order.sort((a, b) => sign * (keys[a] - keys[b]) || a - b);
    }
    shown = order.map((at) => picked[at]);
    state.shown = shown;
    heads.forEach((button, at) => {
      const is = spec[at].key === sort.key;
      if (is) button.setAttribute("aria-sort", sort.down ? "descending" : "ascending"); else button.removeAttribute("aria-sort");
      button.textContent = (spec[at].name || "✓") + (is ? (sort.down ? " ↓" : " ↑") : "");
    });
    inner.style.height = `${shown.length * ROW}px`;
    list.setAttribute("aria-rowcount", shown.length + 1);
    note.textContent = `${count(shown.length)} of ${count(rows.n)} rows${words ? ` with “${words}”${rows.texts.size < rows.n ? " (ids of all rows, texts of those in this page)" : ""}` : ""}. `;
    cursor = Math.min(cursor, Math.max(0, shown.length - 1));
    list.scrollTop = 0;
    draw(true);
  }

  const drawn = new Map();
  function cellsOf(i) {
    const subset = subsetOf(), text = rows.texts.get(i), rank = rankOf(i);
    return [
      el("span", { role: "gridcell" }, subset?.chosen[i] ? "✓" : ""),
      el("span", { role: "gridcell", class: "num" }, rank === null ? "–" : count(rank + 1)),
      el("span", { role: "gridcell", dir: "auto" }, rows.ids[i].slice(0, 200)),
      el("span", { role: "gridcell", dir: "auto", class: text ? null : "dim" }, text ? text.s : "text not in this page"),
      names.map((name) => el("span", { role: "gridcell", class: "num" }, number(rows.columns[name].raw[i]))),
      el("span", { role: "gridcell", class: "num" }, count(rows.lengths[i])),
    ];
  }
  function draw(fresh) {
    if (fresh) { inner.replaceChildren(); drawn.clear(); }
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 10), last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 20);
    for (const [at, node] of drawn) if (at < first || at >= last) { node.remove(); drawn.delete(at); }
    const subset = subsetOf();
    for (let at = first; at < last; at++) {
      if (drawn.has(at)) continue;
      const i = shown[at];
      const cut = sort.key === "rank" && !sort.down && rankOf(i) === (subset?.size ?? 0) - 1;
      const node = el("div", { class: `row${cut ? " cut" : ""}`, role: "row", id: `r${at}`, "aria-rowindex": at + 2, style: { top: `${at * ROW}px` }, onclick: () => { cursor = at; mark(); state.open(i); } }, cellsOf(i));
      drawn.set(at, node);
      inner.append(node);
    }
    mark();
  }
  function mark() {
    for (const [at, node] of drawn) node.classList.toggle("at", at === cursor);
    list.setAttribute("aria-activedescendant", `r${cursor}`);
  }
  let waiting = false;
  list.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(false); });
  });
  list.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -shown.length, End: shown.length };
    if (event.key === "Enter" && shown.length) { event.preventDefault(); state.open(shown[cursor]); return; }
    if (!(event.key in steps)) return;
    event.preventDefault();
    cursor = Math.min(shown.length - 1, Math.max(0, cursor + steps[event.key]));
    const top = cursor * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight - HEAD) list.scrollTop = top + ROW - list.clientHeight + HEAD;
    draw(false);
  });
  new ResizeObserver(() => draw(false)).observe(list);

  const picker = el("select", { id: "subset", onchange: (event) => state.choose(Number(event.target.value)) }, rows.subsets.map((subset, i) => el("option", { value: i }, subset.name)));
  const against = el("select", { id: "other", "aria-label": "The other subset", hidden: true, onchange: (event) => { other = Number(event.target.value); refresh(); } }, rows.subsets.map((subset, i) => el("option", { value: i }, subset.name)));
  const kinds = el("select", { id: "filter", onchange: (event) => {
    filter = event.target.value;
    against.hidden = !compares(filter);
    if (compares(filter) && other < 0) other = Number(against.value);
    refresh();
  } }, Object.keys(passes).filter((name) => rows.subsets.length > 1 || !compares(name)).map((name) => el("option", { value: name }, name)));
  let typing = 0;
  const search = el("input", { type: "search", id: "find", placeholder: "Search texts and ids", "aria-label": "Search texts and ids", oninput: () => {
    clearTimeout(typing);
    typing = setTimeout(() => { words = search.value.trim().toLowerCase(); refresh(); }, 150);
  } });
  const save = el("button", { type: "button", onclick: () => {
    const head = ["sample_id", "subset", "chosen", "rank", ...names];
    const lines = [...shown].map((i) => [rows.ids[i], subsetOf()?.name, subsetOf()?.chosen[i], rankOf(i) === null ? "" : rankOf(i) + 1, ...names.map((name) => (Number.isNaN(rows.columns[name].raw[i]) ? "" : rows.columns[name].raw[i]))]);
    download(`${data.dataset}-${data.model}-rows.csv`, csv([head, ...lines]));
  } }, "Export these rows");
  state.onSubset.push(() => { picker.value = String(state.subset); refresh(); });
  if (rows.subsets.length) picker.value = String(state.subset);
  state.reveal = (i) => {
    const at = shown.indexOf(i);
    if (at < 0) return;
    cursor = at;
    const top = at * ROW;
    if (top < list.scrollTop || top > list.scrollTop + list.clientHeight - 2 * ROW) list.scrollTop = Math.max(0, top - list.clientHeight / 2);
    draw(false);
  };
  put(room,
    el("div", { class: "tools" }, rows.subsets.length ? el("label", null, "subset", picker) : null, el("label", null, "rows", kinds), against, search, save),
    note, list, el("p", { class: "soft" }, leftOut(rows)));
  refresh();
}
