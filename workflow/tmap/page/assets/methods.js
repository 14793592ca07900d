// Methods: differences from random and base, accuracies, and the results table.

function drawMethods(data) {
  const { methods, headings, rows, readings, markdown } = data.methods;
  const views = {
    "against random": () => plot("random", "difference from random, points"),
    "against base": () => plot("base", "difference from base, points"),
    accuracy: () => intervals(methods.map((m) => ({
      name: m.name, value: m.accuracy, low: m.interval[0], high: m.interval[1], runs: m.runs.map((run) => run[2]),
      title: `${m.name}: ${percent(m.accuracy)}, 95 % interval ${range(m.interval, (v) => percent(v))}, ${m.n_seeds} runs`,
    })), { show: (v) => percent(v, 0), label: `accuracy on ${count(data.n_questions)} test questions (${data.metric})`, aria: "Accuracy by method", width: 960 }),
  };
  function plot(against, label) {
    const reference = methods.find((m) => m.name === against);
    const compared = methods.filter((m) => m[against]);
    if (!compared.length) return el("p", { class: "soft" }, `Nothing was compared with ${against} here.`);
    const levels = [...new Set(compared.map((m) => m[against].level))].join(" or ");
    return intervals(compared.map((m) => ({
      name: m.name, value: m[against].difference, low: m[against].interval[0], high: m[against].interval[1],
      runs: reference ? m.runs.map((run) => run[2] - reference.accuracy) : [],
      title: `${m.name}: ${points(m[against].difference)} points, ${m[against].level} ${range(m[against].interval, points)}, adjusted p ${number(m[against].p_holm)}`,
    })), { show: points, zero: 0, label: `${label}; bar: ${levels}, small dots: runs`, aria: `Differences from ${against} by method`, width: 960 });
  }
  const figure = el("figure", { class: "card" });
  const buttons = Object.keys(views).map((name) => el("button", { type: "button", "aria-pressed": "false", onclick: () => show(name) }, name));
  function show(name) {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === name)));
    swap(figure, views[name]());
  }
  show(methods.some((m) => m.random) ? "against random" : "accuracy");
  const cells = rows.map((row) => row.map(([text, tone]) => ({ text, tone })));
  put(body("methods"),
    el("div", { class: "tools", role: "group", "aria-label": "What the chart shows" }, buttons),
    figure,
    el("h3", null, "Results table"),
    el("div", { class: "tools" },
      el("button", { type: "button", onclick: () => copy(markdown, "Markdown") }, "Copy as Markdown"),
      el("button", { type: "button", onclick: () => copy(csv([headings, ...rows.map((row) => row.map(([text]) => text))]), "CSV") }, "Copy as CSV")),
    table(headings, cells),
    readings.rows.length ? [el("h3", null, "Accuracy by reading, %"), table(readings.headings, readings.rows)] : null,
    el("h3", null, "Every verdict"),
    el("dl", { class: "verdicts" }, Object.entries(data.verdict.verdicts).map(([name, text]) => [el("dt", null, el("b", null, name)), el("dd", null, text)])));
}
