// Questions: won and lost, and the answers of every run side by side.

async function drawQuestions(packed) {
  const room = body("questions"), n = packed.n;
  const ids = await unpackTexts(packed.ids), order = await unpackIntegers(packed.order);
  const right = [], read = [];
  for (const bits of packed.right) right.push(await unpackBits(bits, n));
  for (const bits of packed.read) read.push(await unpackBits(bits, n));
  const texts = new Map();
  let at = 0;
  for (const chunk of packed.texts) for (const text of await unpackTexts(chunk)) texts.set(order[at++], text);
  const methods = [...new Set(packed.runs.map(([method]) => method))];
  const runsOf = (method) => packed.runs.flatMap(([name], r) => (name === method ? [r] : []));
  const by = Object.fromEntries(methods.map((method) => [method, runsOf(method)]));
  const share = (method, q) => { const rs = by[method]; return rs.reduce((a, r) => a + right[r][q], 0) / rs.length; };
  let method = methods.includes(packed.first) ? packed.first : methods[0], against = packed.against.find((name) => methods.includes(name) && name !== method) ?? methods[0];
  let kind = "won", limit = 30, words = "";

  const kinds = {
    won: (q) => share(method, q) > share(against, q),
    lost: (q) => share(method, q) < share(against, q),
    alike: (q) => share(method, q) === share(against, q),
    "wrong in every run": (q) => right.every((row) => !row[q]),
    "right in every run": (q) => right.every((row) => row[q]),
    "unread by some run": (q) => read.some((row) => !row[q]),
    all: () => true,
  };
  const list = el("div"), note = el("p", { class: "soft", role: "status" });
  const pick = (values, value, change, label) => el("label", null, label, el("select", { onchange: (event) => { change(event.target.value); limit = 30; draw(); } }, values.map((name) => el("option", { value: name, selected: name === value }, name))));
  function draw() {
    const counts = { won: 0, lost: 0, alike: 0 };
    const passed = [];
    for (const q of order) {
      for (const name in counts) if (kinds[name](q)) counts[name]++;
      const text = texts.get(q);
      if (kinds[kind](q) && (!words || ids[q].toLowerCase().includes(words) || text?.q.toLowerCase().includes(words))) passed.push(q);
    }
    passed.sort((a, b) => Math.abs(share(method, b) - share(against, b)) - Math.abs(share(method, a) - share(against, a)));
    note.textContent = `Against ${against}, ${method} answers ${count(counts.won)} questions more often, ${count(counts.lost)} less often and ${count(counts.alike)} alike, over all runs of each. ${count(passed.length)} shown.`;
    swap(list, ...passed.slice(0, limit).map(one), passed.length > limit ? el("div", { class: "tools" }, el("button", { type: "button", onclick: () => { limit += 100; draw(); } }, `Show ${count(Math.min(100, passed.length - limit))} more`)) : "");
  }
  function one(q) {
    const text = texts.get(q);
    const node = el("details", { class: "question", "data-id": ids[q] }, el("summary", null,
      el("span", { class: "tag" }, `${method} ${percent(share(method, q), 0)}`), el("span", { class: "tag" }, `${against} ${percent(share(against, q), 0)}`),
      el("span", { class: "text", dir: "auto" }, text ? text.q.slice(0, 200) : ids[q])));
    node.addEventListener("toggle", () => { if (node.open && node.childElementCount === 1) node.append(...detail(q, text)); });
    return node;
  }
  function detail(q, text) {
    if (!text) return [el("p", { class: "soft" }, `Question ${ids[q]}: its texts are not in this page, which keeps its size; see predictions.parquet of each run.`)];
    return [
      el("p", { class: "said", dir: "auto" }, text.q),
      text.choices ? el("ol", null, text.choices.map((choice) => el("li", { class: "said", dir: "auto" }, choice))) : null,
      el("p", null, "Right answer: ", el("b", { class: "said" }, text.choices ? text.choices[Number(text.gold)] ?? text.gold : text.gold)),
      table(["run", "answer", `read (${packed.reader})`, "right"], packed.runs.map(([name, s, t], r) => {
        const [said, taken] = text.said[text.by[r]];
        return [`${name} s${s} t${t}`, { text: said, wrap: true }, taken === null ? "nothing" : taken, { text: right[r][q] ? "yes" : "no", tone: right[r][q] ? "good" : "bad" }];
      })),
    ].filter(Boolean);
  }
  let typing = 0;
  const search = el("input", { type: "search", placeholder: "Search questions", "aria-label": "Search questions", oninput: () => {
    clearTimeout(typing);
    typing = setTimeout(() => { words = search.value.trim().toLowerCase(); draw(); }, 150);
  } });
  put(room,
    el("div", { class: "tools" }, pick(Object.keys(kinds), kind, (value) => { kind = value; }, "questions"), pick(methods, method, (value) => { method = value; }, "of"), pick(methods, against, (value) => { against = value; }, "against"), search),
    note, list,
    texts.size < n ? el("p", { class: "soft" }, `Texts of ${count(texts.size)} of ${count(n)} questions are in this page, those with the largest differences first.`) : "");
  draw();
}
