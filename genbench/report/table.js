"use strict";
// Sorts tables marked data-sortable by a click on a column's title. Rows without a value stay last, and rows
// whose seeds are not all ok stay below those that are complete.

function valueOf(row, index) {
  const value = row.cells[index].dataset.value;
  if (value === undefined) return null;
  const number = Number(value);
  return value !== "" && Number.isFinite(number) ? number : value;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b));
}

// The last row of the head has a cell for each column; a row above it groups them.
function headers(table) {
  return Array.from(table.tHead.rows[table.tHead.rows.length - 1].cells);
}

function sortBy(table, header, index) {
  const first = header.dataset.first === "down" ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = header.getAttribute("aria-sort") === first ? other : first;
  for (const cell of headers(table)) cell.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows).sort((left, right) => {
    const incomplete = left.classList.contains("incomplete") - right.classList.contains("incomplete");
    if (incomplete !== 0) return incomplete;
    const a = valueOf(left, index);
    const b = valueOf(right, index);
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * compare(a, b);
  });
  body.append(...rows);
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  headers(table).forEach((header, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sortBy(table, header, index));
  });
}
