// Indicators: histograms of pool against chosen, marks, outliers, rank correlations.

function drawIndicators(data, state) {
  const room = body("indicators"), { columns, correlations } = data.indicators;
  if (!columns.length) {
    put(room, el("p", { class: "soft" }, "No method of this table weighs an indicator."));
    return;
  }
  let scale = "raw";
  const grid = el("div", { class: "grid" });
  const legend = el("p", { class: "soft" });
  const buttons = ["raw", "scaled"].map((name) => el("button", { type: "button", "aria-pressed": "false", onclick: () => { scale = name; draw(); } }, name === "raw" ? "raw values" : "scaled, as weights see them"));
  function draw() {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String((i === 0) === (scale === "raw"))));
    const at = state.subset, subset = data.samples.subsets[at];
    swap(legend, `Grey: all ${count(data.samples.n_pool)} rows of the pool. `, subset ? `Blue: the ${count(subset.size)} rows of ${subset.name}. Each is a share of its own rows.` : "");
    swap(grid, ...columns.map((column) => {
      const found = column[scale];
      const unscored = Object.entries(column.unscored).map(([status, n]) => `${count(n)} ${status}`).join(", ");
      const outside = found.below + found.above;
      return el("figure", { class: "card" },
        el("div", { class: "tools" }, el("b", null, column.name), column.marks.length ? el("span", { class: "tag grave" }, column.marks[0].split(":")[0]) : null, scale === "scaled" ? el("span", { class: "tag" }, column.normalise) : null),
        found.edges.length ? histogram(found.edges, found.pool, subset ? found.subsets[at] : null, `Histogram of ${column.name}`) : null,
        el("figcaption", null,
          column.quantiles.length ? `median ${number(column.quantiles[2])}, from ${number(column.quantiles[0])} to ${number(column.quantiles[4])}; ${count(column.n_distinct)} distinct` : "",
          unscored ? `; unscored: ${unscored}` : "",
          outside ? `; ${count(outside)} rows outside the drawn range` : ""),
        column.marks.map((mark) => el("p", { class: "mark" }, mark)),
        column.outliers.n ? el("p", { class: "soft" }, `${count(column.outliers.n)} outlier${column.outliers.n === 1 ? "" : "s"}: `,
          column.outliers.rows.map(([row, value], i) => [i ? ", " : "", el("a", { href: "#", "data-pool-row": row, onclick: (event) => { event.preventDefault(); state.openPoolRow(row); } }, number(value))])) : null);
    }));
  }
  state.onSubset.push(draw);
  draw();
  put(room, el("div", { class: "tools", role: "group", "aria-label": "Scale" }, buttons), legend, grid);
  if (columns.length > 1) {
    const names = columns.map((column) => column.name);
    put(room, el("h3", null, "Rank correlations"), el("p", { class: "soft" }, "Spearman's, over scored rows. Columns that agree can trade weight."),
      heat(names, [...names.keys()], [...names.keys()], (i, j) => fixed(correlations[i][j], 2), (i, j) => correlations[i][j]));
  }
}
