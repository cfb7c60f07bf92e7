'use strict';
// isolated-vm: `kept` has one isolate and context for all requests, `fresh` a new isolate for each.

const { readFileSync } = require('node:fs');
const { Isolate } = require('isolated-vm');
const { listen } = require('./listen.cjs');

const LOGIC = readFileSync(`${__dirname}/logic.js`, 'utf8');
const LIMITS = { memoryLimit: 64 };
const TIME = { timeout: 30_000 };

async function load(isolate) {
  const context = await isolate.createContext();
  await context.eval(LOGIC);
  return context.eval('logic.answer', { reference: true });
}

async function kept() {
  const answer = await load(new Isolate(LIMITS));
  return (path, body) => answer.apply(undefined, [path, body], TIME);
}

async function fresh() {
  return async (path, body) => {
    const isolate = new Isolate(LIMITS);
    try {
      const answer = await load(isolate);
      return await answer.apply(undefined, [path, body], TIME);
    } finally {
      isolate.dispose();
    }
  };
}

({ kept, fresh })[process.argv[2]]().then(listen);
