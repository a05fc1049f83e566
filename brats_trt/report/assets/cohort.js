// The table of cases: sorted by a column's heading, or by the list that stands for the headings on a phone; searched
// by a field.
'use strict';

const byId = (id) => document.getElementById(id);
const table = byId('cases');
const body = table.tBodies[0];
const headings = [...table.tHead.rows[0].cells];
const rows = [...body.rows];
const words = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
const ALL = '';

let sorted = { column: 0, descending: false };

function compare(column) {
  const value = (row) => row.cells[column].dataset.value;
  return headings[column].classList.contains('words')
    ? (a, b) => words.compare(value(a), value(b))
    : (a, b) => Number(value(a)) - Number(value(b));
}

function sortBy(column, descending) {
  sorted = { column, descending };
  const ascending = compare(column);
  body.append(...rows.sort(descending ? (a, b) => ascending(b, a) : ascending));
  headings.forEach((heading, index) => {
    const order = descending ? 'descending' : 'ascending';
    heading.setAttribute('aria-sort', index === column ? order : 'none');
  });
  byId('order').value = column;
  byId('direction').textContent = descending ? 'Descending' : 'Ascending';
}

function search() {
  const wanted = byId('search').value.toLowerCase().split(/\s+/).filter(Boolean);
  const column = byId('where').value;
  for (const row of rows) {
    const content = (column === ALL ? row : row.cells[column]).textContent.toLowerCase();
    row.hidden = !wanted.every((word) => content.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  byId('found').textContent = wanted.length ? `${shown} of ${rows.length} cases` : '';
}

byId('where').append(new Option('all columns', ALL));
headings.forEach((heading, column) => {
  const title = heading.textContent.trim();
  heading.querySelector('button').addEventListener('click', () => {
    sortBy(column, sorted.column === column && !sorted.descending);
  });
  byId('order').append(new Option(title, column));
  byId('where').append(new Option(title, column));
});
byId('order').addEventListener('change', ({ target }) => sortBy(Number(target.value), false));
byId('direction').addEventListener('click', () => sortBy(sorted.column, !sorted.descending));
byId('search').addEventListener('input', search);
byId('where').addEventListener('change', search);
for (const element of document.querySelectorAll('.search')) element.hidden = false;
sortBy(0, false);
