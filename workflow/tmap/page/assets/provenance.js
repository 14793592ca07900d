// Rejected rows, cost, provenance, and the command to repeat.

function drawRejected(data) {
  const { n, reasons, n_reasons } = data.rejected, room = body("rejected");
  if (!n) {
    put(room, el("p", { class: "soft" }, "Every row of the source became a candidate."));
    return;
  }
  put(room, el("p", { class: "soft" }, `${count(n)} rows of the source are no candidates.${n_reasons > reasons.length ? ` The ${reasons.length} commonest of ${count(n_reasons)} reasons:` : ""}`),
    reasons.map((reason) => el("details", null, el("summary", null, el("b", null, count(reason.n)), " ", el("span", { class: "said" }, reason.kind)),
      table(["row of the source", "reason"], reason.rows.map(([line, why]) => [{ text: count(line + 1), value: line }, { text: why, wrap: true }])),
      reason.n > reason.rows.length ? el("p", { class: "soft" }, `The first ${reason.rows.length}; all are in pool.rejected.parquet.`) : null)));
}

function drawProvenance(data) {
  const about = data.provenance;
  const cost = Object.entries(about.cost).map(([method, found]) => [method, ...["search_evaluations", "search_tokens", "training_tokens"].map((key) => ({ text: count(found[key]), value: found[key] ?? -1, num: true }))]);
  const pairs = (found) => el("dl", { class: "chips" }, Object.entries(found).filter(([, value]) => value !== null && typeof value !== "object").map(([name, value]) => el("div", null, el("dt", null, name.replaceAll("_", " ")), el("dd", null, typeof value === "number" ? number(value) : String(value)))));
  const trained = data.methods.methods.filter((m) => m.training);
  put(body("provenance"),
    el("h3", null, "To repeat it"), el("pre", null, about.repeat),
    el("div", { class: "tools" }, el("button", { type: "button", onclick: () => copy(about.repeat, "Command") }, "Copy the command")),
    el("h3", null, "Cost"), table(["method", "search evaluations", "search tokens written", "training tokens"], cost),
    trained.length ? [el("h3", null, "Training, means over runs"), table(["method", "rows", "cut", "dropped", "steps", "last loss"], trained.map((m) => [m.name, ...["n_samples", "truncated", "dropped", "steps", "final_loss"].map((key) => ({ text: number(m.training[key]), value: m.training[key] ?? -1, num: true }))]))] : null,
    trained.length ? [el("h3", null, "Chosen rows as files"), el("ul", null, trained.map((m) => {
      const s = m.runs[0][0];
      return el("li", null, `${m.name}: `, ["subset.jsonl", "subset.messages.jsonl", "README.md"].map((name, i) => [i ? ", " : "", el("a", { href: `${encodeURIComponent(m.name)}/s${s}/${name}` }, name)]));
    })), el("p", { class: "soft" }, `They are next to this page, in ${about.room}.`)] : null,
    el("h3", null, "Pool"), pairs(about.pool),
    el("h3", null, "Model"), pairs(about.model),
    el("h3", null, "Statistics"), pairs(about.statistics),
    el("h3", null, "Versions"), pairs({ tmap: about.page, commit: about.commit, ...about.versions }));
}
