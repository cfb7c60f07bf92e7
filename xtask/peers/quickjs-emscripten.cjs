'use strict';
// quickjs-emscripten: a new runtime and context for each request, in one WebAssembly instance.

const { readFileSync } = require('node:fs');
const { getQuickJS, shouldInterruptAfterDeadline } = require('quickjs-emscripten');
const { listen } = require('./listen.cjs');

const LOGIC = readFileSync(`${__dirname}/logic.js`, 'utf8');

getQuickJS().then((quickjs) => {
  listen((path, body) => {
    const runtime = quickjs.newRuntime({ memoryLimitBytes: 64 << 20 });
    runtime.setInterruptHandler(shouldInterruptAfterDeadline(Date.now() + 30_000));
    const context = runtime.newContext();
    const handles = [];
    const hold = (handle) => (handles.push(handle), handle);
    try {
      hold(context.unwrapResult(context.evalCode(LOGIC)));
      const answer = hold(context.unwrapResult(context.evalCode('logic.answer')));
      const given = [path, body].map((text) => hold(context.newString(text)));
      const result = context.callFunction(answer, context.undefined, ...given);
      return context.getString(hold(context.unwrapResult(result)));
    } finally {
      for (const handle of handles) handle.dispose();
      context.dispose();
      runtime.dispose();
    }
  });
});
