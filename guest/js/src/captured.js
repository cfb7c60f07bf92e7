// The language's constructors and namespaces, bound for the whole bundle, packages included
// (`inject` in build.mjs), so that code which replaces the global `Map` does not replace ours.

const globals = globalThis;

// The symbols of explicit resource management, which Node 20 adds to the language as well.
for (const name of ['dispose', 'asyncDispose']) {
  if (globals.Symbol[name] === undefined) {
    globals.Object.defineProperty(globals.Symbol, name, {
      value: globals.Symbol(`Symbol.${name}`),
    });
  }
}

export const {
  AggregateError,
  Array,
  ArrayBuffer,
  BigInt,
  BigInt64Array,
  BigUint64Array,
  Boolean,
  DataView,
  Date,
  Error,
  EvalError,
  Float32Array,
  Float64Array,
  Function,
  Int16Array,
  Int32Array,
  Int8Array,
  JSON,
  Map,
  Math,
  Number,
  Object,
  Promise,
  Proxy,
  RangeError,
  ReferenceError,
  Reflect,
  RegExp,
  Set,
  String,
  Symbol,
  SyntaxError,
  TypeError,
  URIError,
  Uint16Array,
  Uint32Array,
  Uint8Array,
  Uint8ClampedArray,
  WeakMap,
  WeakRef,
  WeakSet,
  decodeURIComponent,
  encodeURI,
  encodeURIComponent,
  isFinite,
  isNaN,
  parseFloat,
  parseInt,
} = globals;
