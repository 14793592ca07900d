// Two runs: their tables side by side, the settings that differ, subsets, questions.

const data = JSON.parse(document.getElementById("data").textContent);

function drawMethods({ headings, rows, gains, methods, about, verdicts }) {
  const interval = (m, show) => `${show(m.value)}, 95 % interval ${range([m.low, m.high], show)}`;
  const chart = (bars, how) => (bars.length ? el("figure", { class: "card" }, intervals(bars.map((m) => ({ ...m, title: `${m.name}: ${interval(m, how.show)}` })), how)) : null);
  const bars = gains.map((m) => ({ name: m.name, value: m.difference, low: m.interval[0], high: m.interval[1] }));
  const each = methods.map((m) => ({ name: m.name, value: m.accuracy, low: m.interval[0], high: m.interval[1], runs: m.runs.map((run) => run[2]) }));
  put(body("methods"),
    el("div", { class: "wide" },
      chart(bars, { show: points, zero: 0, label: "B minus A on the same questions, points; bar: 95 % interval", aria: "Differences from A to B by method" }),
      chart(each, { show: (v) => percent(v, 0), label: "accuracy; bar: 95 % interval, small dots: runs", aria: "Accuracy by method in A and B" })),
    el("h3", null, "Both tables"),
    el("div", { class: "tools" }, el("button", { type: "button", onclick: () => copy(csv([headings, ...rows.map((row) => row.map(([text]) => text))]), "CSV") }, "Copy as CSV")),
    table(headings, rows.map((row) => row.map(([text, tone]) => ({ text, tone })))),
    about.map((text, i) => el("p", { class: "soft" }, `${"AB"[i]}: ${text}`)),
    el("h3", null, "Every verdict"),
    el("dl", { class: "verdicts" }, verdicts.map(([name, text]) => [el("dt", null, el("b", null, name)), el("dd", null, text)])));
}

function drawSettings({ rows, only, modules, n_files }) {
  put(body("settings"),
    el("p", { class: "soft" }, `As ${count(n_files[0])} files of A and ${count(n_files[1])} of B record them.`),
    rows.length
      ? table(["setting", "of", "A", "B", "read by"], rows.map(([key, of, a, b, rules]) => [key, of || "–", { text: a, wrap: true }, { text: b, wrap: true }, { text: rules.join(", "), wrap: true }]))
      : el("p", null, "No setting that both record differs."),
    only.map((names, i) => (names.length ? el("p", null, `Only in ${"AB"[i]}: ${names.join(", ")}.`) : null)),
    modules.length ? el("details", null, el("summary", null, `Code differs in ${count(modules.length)} modules`), el("p", { class: "soft" }, modules.join(", "))) : null);
}

async function start() {
  drawMethods(data.methods);
  drawSettings(data.settings);
  if (data.subsets.note) put(body("subsets"), el("p", { class: "soft" }, data.subsets.note));
  else {
    const of = (letter) => [...data.subsets.names.keys()].filter((i) => data.subsets.names[i].startsWith(`${letter}: `));
    drawSubsets(data.subsets, { rows: of("A"), columns: of("B"), pairs: data.subsets.pairs, more: "Both pools have the same rows." });
  }
  if (data.questions.note) put(body("questions"), el("p", { class: "soft" }, data.questions.note));
  if (data.questions.n) await drawQuestions(data.questions);
}

frame(start);
