const { produce, produceWithPatches, applyPatches, enablePatches, enableMapSet, current } = require('immer');

enablePatches();
enableMapSet();

module.exports = () => {
  const base = { todos: [{ text: 'a', done: false }], byId: new Map([['x', 1]]) };
  const next = produce(base, (draft) => {
    draft.todos[0].done = true;
    draft.todos.push({ text: 'b', done: false });
    draft.byId.set('y', 2);
  });
  const [patched, patches, inverse] = produceWithPatches({ n: 1, list: [1, 2] }, (draft) => {
    draft.n++;
    draft.list.shift();
  });
  let frozen = false;
  try {
    'use strict';
    next.todos[0].done = false;
    frozen = next.todos[0].done;
  } catch {
    frozen = true;
  }
  return {
    base: base.todos, next: next.todos, size: [base.byId.size, next.byId.size],
    shared: base.todos[0] !== next.todos[0], frozen,
    patched, patches, undone: applyPatches(patched, inverse),
    current: produce({ a: { b: 1 } }, (draft) => { draft.c = current(draft.a); }),
  };
};
