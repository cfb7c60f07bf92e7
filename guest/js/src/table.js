// `console.table`: rows and columns in a frame, as Node draws them.

import inspection from 'node-inspect-extracted';
import { ObjectKeys, StringPrototypeRepeat, append, isObject } from './primordials.js';

const { getStringWidth, inspect } = inspection;
const CELL = { compact: 3, depth: 1, breakLength: Infinity };

function rowsOf(data) {
  if (data instanceof Map)
    return [...data].map(([key, value], i) => [i, { Key: key, Values: value }]);
  if (data instanceof Set) return [...data].map((value, i) => [i, value]);
  return ObjectKeys(data).map((key) => [key, data[key]]);
}

/** An object or list as a table; `columns` are those wanted, all if undefined. */
export function table(data, columns) {
  const rows = rowsOf(data);
  const names = columns ?? [];
  let hasValues = false;
  for (const [, value] of rows) {
    if (!isObject(value)) hasValues = true;
    else if (columns === undefined) {
      for (const key of ObjectKeys(value)) if (!names.includes(key)) append(names, key);
    }
  }
  const isIterated = data instanceof Map || data instanceof Set;
  const head = [isIterated ? '(iteration index)' : '(index)', ...names];
  if (hasValues) append(head, 'Values');
  const lines = rows.map(([key, value]) => line(key, value, names, hasValues));
  return draw(head, lines);
}

function line(key, value, names, hasValues) {
  const cells = [`${key}`];
  for (const name of names) {
    const isThere = isObject(value) && Object.hasOwn(value, name);
    append(cells, isThere ? inspect(value[name], CELL) : '');
  }
  if (hasValues) append(cells, isObject(value) ? '' : inspect(value, CELL));
  return cells;
}

function draw(head, lines) {
  const widths = head.map(
    (name, i) => Math.max(...[head, ...lines].map((cells) => getStringWidth(cells[i]))) + 2,
  );
  const bar = (left, middle, right) =>
    left + widths.map((width) => StringPrototypeRepeat('─', width)).join(middle) + right;
  const row = (cells) => `│${cells.map((cell, i) => pad(cell, widths[i])).join('│')}│`;
  const body = lines.map(row);
  return [bar('┌', '┬', '┐'), row(head), bar('├', '┼', '┤'), ...body, bar('└', '┴', '┘')].join(
    '\n',
  );
}

function pad(cell, width) {
  return ` ${cell}${StringPrototypeRepeat(' ', width - getStringWidth(cell) - 1)}`;
}
