// The table of all cells: sorted by the buttons in its heading, narrowed by a text and by outcome.

const table = document.getElementById("cells");
const body = table.tBodies[0];
const lines = [...body.rows];
const byText = new Intl.Collator(undefined, { numeric: true });

function sortBy(head) {
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  const column = head.cellIndex;
  const keyed = lines.map((line) => ({ line, key: line.cells[column].dataset.v ?? "" }));
  const numeric = keyed.every(({ key }) => key === "" || !Number.isNaN(Number(key)));
  const compare = numeric ? (a, b) => a - b : byText.compare;
  keyed.sort((a, b) => {
    if (a.key === "" || b.key === "") return (a.key === "") - (b.key === ""); // what is not known comes last
    return (ascending ? 1 : -1) * compare(a.key, b.key);
  });
  for (const other of table.tHead.rows[0].cells) if (other.ariaSort) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  body.append(...keyed.map(({ line }) => line));
}

const filters = { words: [], outcome: "" };
const CHOICES = {
  bad: ["did not pass", (line) => !["passed", "skipped", "pending"].includes(line.dataset.outcome)],
  estimated: ["ESTIMATED", (line) => data.cells[line.dataset.i].state === "estimated"],
  invalid: ["INVALID", (line) => data.cells[line.dataset.i].state === "invalid"],
};
const texts = new Map();

function textOf(line) {
  if (!texts.has(line)) texts.set(line, line.textContent.toLowerCase());
  return texts.get(line);
}

function narrow() {
  let count = 0;
  const right = CHOICES[filters.outcome]?.[1] ?? ((line) => line.dataset.outcome === filters.outcome);
  for (const line of lines) {
    const fits = (!filters.outcome || right(line)) && filters.words.every((word) => textOf(line).includes(word));
    line.hidden = !fits;
    count += fits;
  }
  const all = lines.length.toLocaleString("en");
  document.getElementById("shown").textContent = `${count.toLocaleString("en")} of ${all} shown`;
}

function choose(outcome) {
  document.getElementById("outcome").value = filters.outcome = outcome;
  narrow();
}

function startTable() {
  for (const head of table.tHead.rows[0].cells) head.querySelector("button")?.addEventListener("click", () => sortBy(head));
  const seen = [...new Set(lines.map((line) => line.dataset.outcome))].map((name) => [name, name.replace("_", " ")]);
  const special = Object.entries(CHOICES).filter(([, [, right]]) => lines.some(right)).map(([name, [words]]) => [name, words]);
  fill(document.getElementById("outcome"), [["", "all"], ...special, ...seen]);
  document.getElementById("outcome").addEventListener("change", (event) => choose(event.target.value));
  document.getElementById("find").addEventListener("input", (event) => {
    filters.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    narrow();
  });
  for (const tile of document.querySelectorAll("[data-filter]")) tile.addEventListener("click", () => choose(tile.dataset.filter));
  document.getElementById("filters").hidden = false;
  narrow();
}
