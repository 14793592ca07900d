// The searches: reward by evaluation, weights, what was learned, confirmation.

function drawSearches(data) {
  const room = body("search");
  if (!data.searches.length) {
    put(room, el("p", { class: "soft" }, "No method of this table searches for weights."));
    return;
  }
  for (const search of data.searches) put(room, ...oneSearch(search));
}

function oneSearch(search) {
  const weights = search.indicators.map((name, i) => ({ name, w: search.weights_relative[i], bound: search.interval ? search.interval[i] : null }));
  const parts = [el("h3", null, `${search.method}, seed ${search.s}`), el("p", null, sentence(search))];
  const charts = el("div", { class: "wide" });
  charts.append(el("figure", { class: "card" }, intervals(
    weights.map(({ name, w, bound }) => ({ name, value: w, low: bound?.[0] ?? null, high: bound?.[1] ?? null, title: `${name}: ${w.toFixed(2)}${bound ? `, 90 % interval ${range(bound, (v) => v.toFixed(2))}` : ""}` })),
    { show: (v) => v.toFixed(2), zero: 0, label: "weight relative to the largest; bar: 90 % interval", aria: "Weights" }),
  el("figcaption", null, search.abstains ? "The search abstained: its weights are equal." : "Correlated indicators trade weight at equal reward: do not read single weights.")));
  if (search.trace.length > 1) {
    const points = search.trace.map(([x, y, error, raced, w]) => ({
      x, y, error: search.by_round ? error : null, open: raced,
      title: `${search.by_round ? "round" : "evaluation"} ${x}: ${percent(y)}\n${search.indicators.map((name, i) => `${name} ${fixed(w[i], 2)}`).join("\n")}`,
    }));
    const refs = [];
    if (search.reward !== null) refs.push([search.reward, `chosen, confirmed ${percent(search.reward)}`]);
    if (search.uniform_reward !== null) refs.push([search.uniform_reward, `equal weights ${percent(search.uniform_reward)}`]);
    charts.append(el("figure", { class: "card" }, scatter(points, {
      refs, label: search.by_round ? "round of groups" : "evaluation", aria: "Few-shot accuracy by evaluation",
    }), el("figcaption", null, search.by_round
      ? "Mean accuracy after the groups of each round, which are picked to teach most, not to score best. Dashed: on the confirm questions."
      : `Few-shot accuracy of each weight vector${search.n_trace > search.trace.length ? `, ${count(search.trace.length)} of ${count(search.n_trace)} shown` : ""}. The best of many noisy values is too high; dashed: on the confirm questions, which no search saw.`)));
  }
  parts.push(charts);
  if (search.confirm?.length) {
    parts.push(table(["confirmed on other questions", "reward", "standard error"], search.confirm.map((row) => [
      row.name, { text: percent(row.reward), value: row.reward }, percent(row.se_groups ?? row.se_items)])));
  }
  const curves = search.value?.partial_dependence;
  if (curves) {
    const all = Object.values(curves).flatMap((found) => found.accuracy);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    parts.push(el("h3", null, "Accuracy that trees expect as one column changes"),
      el("p", { class: "soft" }, `Partial dependence, columns scaled to 0–1. ${search.value.abstains ? "The trees predict no answers that they have not seen, so these curves mean nothing." : `Held-out R² ${fixed(search.value.r2, 2)}, 90 % interval ${range(search.value.r2_interval, (v) => v.toFixed(2))}.`}`),
      el("div", { class: "grid" }, Object.entries(curves).map(([name, found]) => el("figure", { class: "card" }, el("b", null, name), curve(found.at, found.accuracy, { low, high, aria: `Expected accuracy by ${name}` })))));
  }
  return parts;
}

function sentence(search) {
  const said = [`${count(search.n_evaluations)} ${search.by_round ? "groups were asked" : "weight vectors were tried"}.`];
  if (search.reward !== null && search.uniform_reward !== null) {
    said.push(`On questions that the search never used, its choice reaches ${percent(search.reward)}, equal weights ${percent(search.uniform_reward)} (${points(search.reward - search.uniform_reward)} points).`);
  }
  const groups = search.groups;
  if (groups) said.push(`The group model explains ${percent(groups.r2, 0)} of the variance of held-out answers (90 % interval ${range(groups.r2_interval, (v) => percent(v, 0))}; p ${number(groups.p)}); a better selection is expected to gain ${(100 * groups.regret).toFixed(1)} points.`);
  if (search.process?.leave_one_out_r2 !== null && search.process?.leave_one_out_r2 !== undefined) said.push(`The optimiser's model explains ${percent(search.process.leave_one_out_r2, 0)} of the variance of points left out.`);
  if (search.estimator) said.push(`Reward: ${search.estimator} (${search.estimator_reason}).`);
  return said.join(" ");
}
