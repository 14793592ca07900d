// The page of a run: its data, what is selected, deep links.

const data = JSON.parse(document.getElementById("data").textContent);
const state = {
  subset: Math.max(0, data.samples.subsets.findIndex((subset) => subset.method === data.verdict.method)),
  onSubset: [],
  shown: [],
  choose(at) { state.subset = at; state.onSubset.forEach((draw) => draw()); },
  open() {}, openPoolRow() {}, reveal() {},
};

function follow(rows) {
  if (!location.hash.startsWith("#row=")) return;
  const asked = new URLSearchParams(location.hash.slice(1)), id = asked.get("row");
  const subset = rows.subsets.findIndex(({ name }) => name === asked.get("subset"));
  if (subset >= 0 && subset !== state.subset) state.choose(subset);
  const i = rows.number.get(id);
  if (i === undefined) toast("That row is not in this page");
  else state.open(i);
}

async function start() {
  drawMethods(data);
  drawSearches(data);
  drawIndicators(data, state);
  const main = state.subset;
  const every = [...data.subsets.names.keys()];
  drawSubsets(data.subsets, {
    rows: every, columns: every, pairs: every.flatMap((j) => (j === main ? [] : [[main, j]])),
    more: "Rows of only one of two are a filter of the samples above.",
  });
  drawRejected(data);
  drawProvenance(data);
  const rows = await unpackSamples(data.samples);
  state.open = rowDrawer(data, rows, state);
  state.openPoolRow = (row) => {
    const i = rows.ofPool(row);
    if (i < 0) toast("That row is not in this page"); else state.open(i);
  };
  drawSamples(data, rows, state);
  await drawQuestions(data.questions);
  addEventListener("hashchange", () => follow(rows));
  follow(rows);
}

frame(start);
