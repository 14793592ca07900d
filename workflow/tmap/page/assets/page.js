// The page: its data, what is selected, deep links, light and dark.

const data = JSON.parse(document.getElementById("data").textContent);
const state = {
  subset: Math.max(0, data.samples.subsets.findIndex((subset) => subset.method === data.verdict.method)),
  onSubset: [],
  shown: [],
  choose(at) { state.subset = at; state.onSubset.forEach((draw) => draw()); },
  open() {}, openPoolRow() {}, reveal() {},
};

const button = document.getElementById("theme");
button.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

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
  drawSubsets(data, state);
  drawRejected(data);
  drawProvenance(data);
  const rows = await unpackSamples(data.samples);
  state.open = rowDrawer(data, rows, state);
  state.openPoolRow = (row) => {
    const i = rows.ofPool(row);
    if (i < 0) toast("That row is not in this page"); else state.open(i);
  };
  drawSamples(data, rows, state);
  await drawQuestions(data, state);
  addEventListener("hashchange", () => follow(rows));
  follow(rows);
  const links = [...document.querySelectorAll(".bar nav a")];
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (entry.isIntersecting) links.forEach((link) => link.classList.toggle("here", link.hash === `#${entry.target.id}`));
  }), { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("main section").forEach((section) => seen.observe(section));
  document.documentElement.dataset.ready = "yes";
}

start().catch((fault) => {
  document.querySelector("main").prepend(el("p", { class: "mark", role: "alert" }, `This page cannot be drawn: ${fault.message}. It needs a browser of 2023 or later.`));
  throw fault;
});
