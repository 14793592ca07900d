// One row: why it was chosen or not, as it is trained on, its rank in every method.

function rowDrawer(data, rows, state) {
  const drawer = el("dialog", { class: "drawer", "aria-label": "Sample" });
  document.body.append(drawer);
  let open = -1;
  drawer.addEventListener("close", () => { open = -1; setHash("#samples"); });
  drawer.addEventListener("click", (event) => { if (event.target === drawer) drawer.close(); });
  drawer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") move(1);
    if (event.key === "ArrowLeft") move(-1);
  });
  function move(step) {
    const at = state.shown.indexOf(open) + step;
    if (at >= 0 && at < state.shown.length) show(state.shown[at]);
  }
  function show(i) {
    open = i;
    const subset = rows.subsets[state.subset], id = rows.ids[i];
    setHash(hashOf(id, subset?.name));
    swap(drawer,
      el("header", null, el("h3", { dir: "auto" }, id.slice(0, 300)),
        el("button", { type: "button", onclick: () => move(-1), "aria-label": "Previous row" }, "←"),
        el("button", { type: "button", onclick: () => move(1), "aria-label": "Next row" }, "→"),
        el("button", { type: "button", onclick: () => copy(id, "Id") }, "Copy id"),
        el("button", { type: "button", onclick: () => copy(location.href, "Link") }, "Copy link"),
        el("button", { type: "button", onclick: () => drawer.close() }, "Close")),
      el("p", { class: "soft" }, `row ${count(rows.poolRow(i) + 1)} of the pool`),
      why(rows, subset, i),
      asTrained(rows, i),
      everywhere(rows, i));
    if (!drawer.open) drawer.showModal();
    drawer.scrollTop = 0;
    state.reveal(i);
  }
  return show;
}

const hashOf = (id, subset) => `#row=${encodeURIComponent(id)}${subset ? `&subset=${encodeURIComponent(subset)}` : ""}`;

function setHash(hash) {
  if (location.hash === hash) return;
  try { history.replaceState(null, "", hash); } catch { location.hash = hash; }
}

function why(rows, subset, i) {
  if (!subset) return null;
  const rank = subset.rank ? subset.rank[i] : null, chosen = subset.chosen[i] === 1;
  const said = [chosen ? `Chosen by ${subset.name}` : `Left out by ${subset.name}`];
  if (rank !== null) said.push(`, rank ${count(rank + 1)} by score; ${count(subset.size)} of ${count(rows.n_pool)} are chosen`);
  const given = contributions(rows, subset, i);
  const parts = [el("h3", null, "Why"), el("p", null, said.join(""), ". ", reason(rows, subset, i, given, chosen, rank))];
  if (!given) return parts;
  const top = Math.max(1e-9, ...given.map(Math.abs), ...(subset.mean ?? []).map(Math.abs));
  const order = given.map((_, j) => j).sort((a, b) => subset.weights[b] - subset.weights[a]);
  parts.push(el("div", { class: "bars" }, order.map((j) => [
    el("span", null, subset.columns[j]),
    el("span", { class: "track" },
      el("span", { class: "fill", style: { width: `${(100 * Math.abs(given[j])) / top}%` } }),
      subset.mean ? el("span", { class: "tick", style: { left: `${(100 * Math.abs(subset.mean[j])) / top}%` } }) : null),
    el("span", null, `${given[j].toFixed(3)}`, el("span", { class: "soft" }, ` (raw ${number(rows.columns[subset.columns[j]].raw[i])})`)),
  ])));
  parts.push(el("p", { class: "soft" }, `Bars: weight × scaled value, ${sum(given).toFixed(3)} together. Marks: the mean of the chosen rows.`));
  return parts;
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

// What lifts a chosen row most, or what a left-out row lacks most, against the chosen mean.
function reason(rows, subset, i, given, chosen, rank) {
  if (!given) return subset.rank ? "Its rank comes from values that trees predict from the columns." : "It was drawn, not scored.";
  if (!subset.mean) return "";
  const gaps = given.map((value, j) => [value - subset.mean[j], j]).sort((a, b) => (chosen ? b[0] - a[0] : a[0] - b[0]));
  const named = gaps.filter(([gap]) => (chosen ? gap > 1e-6 : gap < -1e-6)).slice(0, 2)
    .map(([, j]) => `${subset.columns[j]} (${given[j].toFixed(2)}, the chosen have ${subset.mean[j].toFixed(2)} on average)`);
  const said = [];
  if (!chosen && rank < subset.size) said.push("A filter of the method dropped it.");
  else if (!chosen) {
    const last = subset.rank ? subset.rank.indexOf(subset.size - 1) : -1;
    if (last >= 0) said.push(`It is ${Math.max(0, sum(contributions(rows, subset, last)) - sum(given)).toFixed(3)} below the score of the last chosen row.`);
  }
  if (named.length) said.push(`${chosen ? "It exceeds them most in" : "It lacks most in"} ${named.join(" and ")}.`);
  return said.join(" ");
}

function asTrained(rows, i) {
  const text = rows.texts.get(i);
  if (!text) return [el("h3", null, "Text"), el("p", { class: "soft" }, "Not in this page, which keeps its size; look it up in pool.parquet.")];
  const cut = text.n > rows.limit;
  return [
    el("h3", null, "As it is trained on"),
    el("p", { class: "soft" }, `${count(text.n)} tokens${cut ? `, of which ${count(text.n - rows.limit)} are cut off` : ""}. The loss counts on the tinted part${cut ? "; struck out: cut" : ""}.`),
    el("div", { class: "card trained", dir: "auto" }, text.p.map(([part, kind]) => el("span", { class: [null, "loss", "gone"][kind] }, part))),
  ];
}

function everywhere(rows, i) {
  return [el("h3", null, "In every subset"), table(["subset", "chosen", "rank by score"], rows.subsets.map((subset) => [
    subset.name, subset.chosen[i] ? "yes" : "no",
    subset.rank ? { text: count(subset.rank[i] + 1), value: subset.rank[i], num: true } : { text: "–", value: Infinity, num: true }]))];
}
