'use strict';
// The work of all peers, the same for each: a script that any of them can evaluate, import or
// require. It leaves `logic` behind, whose functions answer JSON text.

let calls = 0;

function hello() {
  return JSON.stringify({ hello: 'world' });
}

/** What an order comes to: the lines with more than one piece, the dearest first. */
function json(text) {
  const order = JSON.parse(text);
  const lines = order.items
    .filter((item) => item.n > 1)
    .map((item) => {
      const price = Math.round(item.p * item.n * 100) / 100;
      return { id: item.id, name: item.sku.toUpperCase(), price };
    })
    .sort((one, other) => other.price - one.price || one.id - other.id);
  const total = lines.reduce((sum, line) => sum + line.price, 0);
  const { order: number } = order;
  return JSON.stringify({ order: number, total: Math.round(total * 100) / 100, lines });
}

function fibonacci(n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

/** Calls, then 2,000 steps of strings, an array that is sorted, and whole numbers. */
function cpu() {
  let sum = fibonacci(24);
  const words = [];
  for (let step = 0; step < 2000; step++) {
    const word = 'w' + step + '-' + ((step * step) % 89);
    words.push(word);
    sum = (Math.imul(sum, 31) + word.length + word.charCodeAt(word.length - 1)) >>> 0;
  }
  const text = words.sort().join(' ');
  for (let at = 0; at < text.length; at += 7) {
    sum = (Math.imul(sum, 33) ^ text.charCodeAt(at)) >>> 0;
  }
  return JSON.stringify({ sum });
}

/** 1 for whoever finds nothing left behind by others. */
function state() {
  calls += 1;
  return JSON.stringify({ calls });
}

const byPath = { '/hello': hello, '/json': json, '/cpu': cpu, '/state': state };

globalThis.logic = { hello, json, cpu, state, answer: (path, body) => byPath[path](body) };
