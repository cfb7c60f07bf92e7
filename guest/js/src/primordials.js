// The language's own functions, as they were before any user code ran.
//
// What the platform does on a user's behalf uses these, so that a function which overwrites
// `JSON.stringify` or `Array.prototype.push` harms its own code only. `uncurryThis` turns a
// method into a function whose first argument is the receiver.

const { bind, call } = Function.prototype;

/** `uncurryThis(String.prototype.trim)(text)` is `text.trim()`. */
export const uncurryThis = bind.bind(call);

export const {
  apply: ReflectApply,
  construct: ReflectConstruct,
  ownKeys: ReflectOwnKeys,
} = Reflect;

export const {
  assign: ObjectAssign,
  create: ObjectCreate,
  defineProperties: ObjectDefineProperties,
  defineProperty: ObjectDefineProperty,
  entries: ObjectEntries,
  freeze: ObjectFreeze,
  getOwnPropertyDescriptor: ObjectGetOwnPropertyDescriptor,
  getOwnPropertyDescriptors: ObjectGetOwnPropertyDescriptors,
  getOwnPropertyNames: ObjectGetOwnPropertyNames,
  getPrototypeOf: ObjectGetPrototypeOf,
  keys: ObjectKeys,
  setPrototypeOf: ObjectSetPrototypeOf,
} = Object;

export const ObjectPrototypeToString = uncurryThis(Object.prototype.toString);

export const { parse: JSONParse, stringify: JSONStringify } = JSON;

export const ArrayIsArray = Array.isArray;
export const ArrayPrototypeJoin = uncurryThis(Array.prototype.join);
export const ArrayPrototypePush = uncurryThis(Array.prototype.push);
export const ArrayPrototypeShift = uncurryThis(Array.prototype.shift);
export const ArrayPrototypeSlice = uncurryThis(Array.prototype.slice);
export const ArrayPrototypeSort = uncurryThis(Array.prototype.sort);
export const ArrayPrototypeSplice = uncurryThis(Array.prototype.splice);

const S = String.prototype;
export const StringFromCharCode = String.fromCharCode;
export const StringPrototypeCharCodeAt = uncurryThis(S.charCodeAt);
export const StringPrototypeCodePointAt = uncurryThis(S.codePointAt);
export const StringPrototypeEndsWith = uncurryThis(S.endsWith);
export const StringPrototypeIndexOf = uncurryThis(S.indexOf);
export const StringPrototypeIsWellFormed = uncurryThis(S.isWellFormed);
export const StringPrototypeLastIndexOf = uncurryThis(S.lastIndexOf);
export const StringPrototypePadStart = uncurryThis(S.padStart);
export const StringPrototypeRepeat = uncurryThis(S.repeat);
export const StringPrototypeReplace = uncurryThis(S.replace);
export const StringPrototypeReplaceAll = uncurryThis(S.replaceAll);
export const StringPrototypeSlice = uncurryThis(S.slice);
export const StringPrototypeStartsWith = uncurryThis(S.startsWith);
export const StringPrototypeToLowerCase = uncurryThis(S.toLowerCase);
export const StringPrototypeToUpperCase = uncurryThis(S.toUpperCase);
export const StringPrototypeToWellFormed = uncurryThis(S.toWellFormed);
export const StringPrototypeTrim = uncurryThis(S.trim);

export const FunctionPrototypeToString = uncurryThis(Function.prototype.toString);

export const RegExpPrototypeExec = uncurryThis(RegExp.prototype.exec);

export const MapPrototypeGet = uncurryThis(Map.prototype.get);
export const MapPrototypeSet = uncurryThis(Map.prototype.set);
export const MapPrototypeHas = uncurryThis(Map.prototype.has);
export const MapPrototypeDelete = uncurryThis(Map.prototype.delete);
export const SafeMap = Map;

export const PromiseConstructor = Promise;
export const PromisePrototypeThen = uncurryThis(Promise.prototype.then);
export const PromiseResolve = Promise.resolve.bind(Promise);
export const PromiseReject = Promise.reject.bind(Promise);

export const {
  isFinite: NumberIsFinite,
  isInteger: NumberIsInteger,
  isNaN: NumberIsNaN,
  parseInt: NumberParseInt,
} = Number;
export const NumberPrototypeToFixed = uncurryThis(Number.prototype.toFixed);
export const { ceil: MathCeil, floor: MathFloor, max: MathMax, min: MathMin, round: MathRound } = Math;

export const TypedArray = ObjectGetPrototypeOf(Uint8Array);
const typedArrayGetter = (name) =>
  uncurryThis(ObjectGetOwnPropertyDescriptor(TypedArray.prototype, name).get);
export const TypedArrayByteLength = typedArrayGetter('byteLength');
export const TypedArrayByteOffset = typedArrayGetter('byteOffset');
export const TypedArrayBuffer = typedArrayGetter('buffer');
export const TypedArrayTag = typedArrayGetter(Symbol.toStringTag);
export const TypedArraySet = uncurryThis(TypedArray.prototype.set);
export const TypedArraySubarray = uncurryThis(TypedArray.prototype.subarray);
export const TypedArraySlice = uncurryThis(TypedArray.prototype.slice);
export const DataViewByteLength = uncurryThis(
  ObjectGetOwnPropertyDescriptor(DataView.prototype, 'byteLength').get,
);
export const DataViewByteOffset = uncurryThis(
  ObjectGetOwnPropertyDescriptor(DataView.prototype, 'byteOffset').get,
);
export const DataViewBuffer = uncurryThis(
  ObjectGetOwnPropertyDescriptor(DataView.prototype, 'buffer').get,
);
export const ArrayBufferByteLength = uncurryThis(
  ObjectGetOwnPropertyDescriptor(ArrayBuffer.prototype, 'byteLength').get,
);
export const ArrayBufferSlice = uncurryThis(ArrayBuffer.prototype.slice);
export const ArrayBufferIsView = ArrayBuffer.isView;
export const SafeUint8Array = Uint8Array;
export const SafeArrayBuffer = ArrayBuffer;

export const SafeError = Error;
export const SafeTypeError = TypeError;
export const SafeRangeError = RangeError;
export const SafeSyntaxError = SyntaxError;
export const SafeString = String;
export const SafeProxy = Proxy;

export const { decodeURIComponent, encodeURIComponent, encodeURI } = globalThis;

/** Whether a value may have a `then`. */
export function isObject(value) {
  return value !== null && (typeof value === 'object' || typeof value === 'function');
}

/**
 * Puts a value at the end of a list. `list[list.length] = value` would run a setter that hostile
 * code put on `Array.prototype`; this cannot.
 */
export function append(list, value) {
  ArrayPrototypePush(list, value);
}
