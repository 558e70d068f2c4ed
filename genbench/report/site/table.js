"use strict";
// Sorts tables marked data-sortable by a click on a column's title, and filters the leaderboard's models. Each part of
// a table (contenders, anchors) is sorted by itself; rows without a value stay last in it, and rows whose seeds are not
// all ok below those that are complete.

function valueOf(row, index) {
  const value = row.cells[index]?.dataset.value;
  if (value === undefined || value === "") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : value;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b));
}

// The last row of the head has a cell for each column; a row above it groups them.
function headers(table) {
  return Array.from(table.tHead.rows[table.tHead.rows.length - 1].cells);
}

function sortBody(body, index, sign) {
  const rows = Array.from(body.rows).filter((row) => "model" in row.dataset);
  rows.sort((left, right) => {
    const incomplete = left.classList.contains("incomplete") - right.classList.contains("incomplete");
    if (incomplete !== 0) return incomplete;
    const a = valueOf(left, index);
    const b = valueOf(right, index);
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * compare(a, b);
  });
  body.append(...rows);
}

function sortBy(table, header, index) {
  const first = header.dataset.first;
  const other = first === "ascending" ? "descending" : "ascending";
  const order = header.getAttribute("aria-sort") === first ? other : first;
  for (const cell of headers(table)) cell.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", order);
  for (const body of table.tBodies) sortBody(body, index, order === "ascending" ? 1 : -1);
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  headers(table).forEach((header, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...Array.from(header.childNodes).filter((node) => !node.classList?.contains("about")));
    header.prepend(button);
    button.addEventListener("click", () => sortBy(table, header, index));
  });
}

function checked(selector) {
  return Array.from(document.querySelectorAll(selector)).filter((box) => !box.checked);
}

// The models that the filters leave out are hidden in the table and dimmed in charts and among samples.
function filter(table) {
  const text = document.querySelector(`[data-filter="${table.id}"]`).value.trim().toLowerCase();
  const withoutAnchors = checked("[data-anchors]").length > 0;
  const kinds = new Set(checked("[data-kind][type=checkbox]").map((box) => box.dataset.kind));
  const labels = new Set(checked("[data-conditional][type=checkbox]").map((box) => box.dataset.conditional));
  const least = document.querySelector("[data-verified]:is(select)")?.value ?? "";
  const out = new Set();
  let shown = 0;
  const rows = Array.from(table.querySelectorAll("tbody tr[data-model]"));
  for (const row of rows) {
    const { model, kind, conditional, verified } = row.dataset;
    const anchor = row.classList.contains("anchor");
    const hidden =
      !model.toLowerCase().includes(text) ||
      (anchor && withoutAnchors) ||
      (!anchor && (kinds.has(kind) || labels.has(conditional))) ||
      (!anchor && least !== "" && (verified === "" || Number(verified) < Number(least)));
    row.hidden = hidden;
    if (hidden) out.add(model);
    else shown += 1;
  }
  for (const body of table.tBodies) {
    const own = Array.from(body.rows).filter((row) => "model" in row.dataset);
    body.hidden = own.length > 0 && own.every((row) => row.hidden);
  }
  for (const element of document.querySelectorAll(".chart [data-model], figure[data-model]")) {
    element.classList.toggle("dimmed", out.has(element.dataset.model));
  }
  const count = document.querySelector(`[data-count="${table.id}"]`);
  count.textContent = shown === rows.length ? `${shown} models` : `${shown} of ${rows.length} models`;
}

for (const input of document.querySelectorAll("[data-filter]")) {
  const table = document.getElementById(input.dataset.filter);
  const controls = input.closest(".controls");
  controls.hidden = false;
  for (const part of controls.querySelectorAll(".scripted")) part.hidden = false;
  for (const element of controls.querySelectorAll("input, select")) {
    element.addEventListener("input", () => filter(table));
  }
  filter(table);
}
