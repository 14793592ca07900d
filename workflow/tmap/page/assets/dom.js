// Elements, numbers as text, and small services. Texts become text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, is] of Object.entries(value)) node.style.setProperty(key, is);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const put = (node, ...children) => fill(node, null, children);
const swap = (node, ...children) => { node.replaceChildren(); return put(node, ...children); };
const body = (section) => document.querySelector(`#${section} .body`);

const WHOLE = new Intl.NumberFormat("en-US"), DIGITS = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });

// A number with about four significant digits; an en dash for none.
function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return WHOLE.format(value);
  const size = Math.abs(value);
  return size >= 1e7 || size < 1e-3 ? value.toExponential(2) : DIGITS.format(value);
}

const fixed = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const count = (value) => (value === null || value === undefined ? "–" : WHOLE.format(value));
const percent = (share, digits = 1) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`);
const points = (share) => `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}`;
const range = (bounds, show) => (bounds ? `${show(bounds[0])} to ${show(bounds[1])}` : "–");

let toastTimer = 0;
function toast(words) {
  document.querySelector(".toast")?.remove();
  const node = el("div", { class: "toast", role: "status" }, words);
  document.body.append(node);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => node.remove(), 1800);
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    download(`${what.toLowerCase().replaceAll(" ", "-")}.txt`, text);
  }
}

function download(name, text) {
  const place = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = el("a", { href: place, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(place), 1000);
}

// Quoted where needed; a cell that a spreadsheet would run as a formula is text.
function csv(rows) {
  const cell = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (/^[=@\t\r]/.test(text) || (/^[+-]/.test(text) && Number.isNaN(Number(text)))) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

// A table whose headings sort. `texts`: arrays of {text, value, tone} or plain texts.
function table(headings, texts) {
  const rows = texts.map((row) => row.map((cell) => (cell && typeof cell === "object" ? cell : { text: cell })));
  const value = (cell) => cell.value ?? cell.text;
  const tbody = el("tbody");
  let shown = [...rows], sorted = null;
  const draw = () => swap(tbody, shown.map((row) => el("tr", null, row.map((cell) =>
    el("td", { class: [cell.tone, cell.num && "num", cell.wrap && "wrap"].filter(Boolean).join(" ") || null }, cell.text)))));
  const heads = headings.map((name, at) => el("th", { scope: "col", class: rows[0]?.[at]?.num ? "num" : null }, el("button", {
    type: "button",
    onclick: () => {
      const down = sorted && sorted[0] === at && !sorted[1];
      sorted = [at, down];
      shown = [...rows].sort((a, b) => {
        const [x, y] = [value(a[at]), value(b[at])];
        const order = typeof x === "number" && typeof y === "number" ? x - y : String(x ?? "").localeCompare(String(y ?? ""), "en", { numeric: true });
        return down ? -order : order;
      });
      heads.forEach((head, i) => (i === at ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort")));
      draw();
    },
  }, name)));
  draw();
  return el("div", { class: "scroll" }, el("table", null, el("thead", null, el("tr", null, heads)), tbody));
}
