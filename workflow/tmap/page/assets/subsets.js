// Subsets against each other: shared rows, and what chance alone would share.

// rows, columns: numbers of the subsets in the table; pairs: those that are told in words
function drawSubsets({ names, sizes, shared, expected, spread, foreign }, { rows, columns, pairs, more }) {
  const room = body("subsets");
  if (!names.length) {
    put(room, el("p", { class: "soft" }, "No method of this table selects from this pool."));
    return;
  }
  const words = (i, j) => `${names[i]} (${count(sizes[i])}) and ${names[j]} (${count(sizes[j])}) share ${count(shared[i][j])} rows; two draws would share ${expected[i][j].toFixed(0)} ± ${spread[i][j].toFixed(0)}`;
  const lift = (i, j) => {
    const room = Math.min(sizes[i], sizes[j]) - expected[i][j];
    return i === j || room <= 0 ? null : (shared[i][j] - expected[i][j]) / room;
  };
  put(room,
    el("p", { class: "soft" }, "Rows that two subsets share. Blue: more than two random draws would share; red: fewer. ", more),
    heat(names, rows, columns, (i, j) => count(shared[i][j]), lift, words),
    el("ul", { class: "soft" }, pairs.map(([i, j]) => el("li", null, `${words(i, j)}.`))),
    foreign.length ? el("p", { class: "soft" }, `Not shown: ${foreign.join(", ")}, whose rows were generated and are not of this pool.`) : null);
}
