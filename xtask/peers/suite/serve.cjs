'use strict';
// One part of the suite as a server: in Node itself, kept, or in a new runtime of
// quickjs-emscripten for each request.

const { readFileSync } = require('node:fs');
const { listen } = require('../listen.cjs');

const [, , engine, file] = process.argv;

async function node() {
  require(file);
  return globalThis.part;
}

async function quickjs() {
  const source = readFileSync(file, 'utf8');
  const { getQuickJS } = require('quickjs-emscripten');
  const module = await getQuickJS();
  return (benchmark, count) => {
    const runtime = module.newRuntime();
    const context = runtime.newContext();
    try {
      context.unwrapResult(context.evalCode(source)).dispose();
      context.unwrapResult(context.evalCode(`part(${benchmark}, ${count})`)).dispose();
    } finally {
      context.dispose();
      runtime.dispose();
    }
  };
}

({ node, quickjs })[engine]().then((part) => {
  listen((path) => {
    const { searchParams } = new URL(path, 'http://localhost');
    part(Number(searchParams.get('benchmark')), Number(searchParams.get('count')));
    return 'done';
  });
});
