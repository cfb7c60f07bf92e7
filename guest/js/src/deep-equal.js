// Deep equality as Node's `util.isDeepStrictEqual` and `assert.deepEqual` have it.

import { ObjectGetPrototypeOf, ObjectPrototypeToString, ReflectOwnKeys } from './primordials.js';

/** Equal in value, type and prototype, all the way down; cycles are followed once. */
export function isDeepStrictEqual(a, b) {
  return compare(a, b, true, new Map());
}

/** The same with `==` for primitives and without prototypes. */
export function isDeepEqual(a, b) {
  return compare(a, b, false, new Map());
}

function compare(a, b, isStrict, seen) {
  if (Object.is(a, b)) return true;
  const areObjects = [a, b].map((value) => value !== null && typeof value === 'object');
  if (!areObjects[0] && !areObjects[1]) return !isStrict && a == b;
  if (!areObjects[0] || !areObjects[1]) return false;
  if (ObjectPrototypeToString(a) !== ObjectPrototypeToString(b)) return false;
  if (isStrict && ObjectGetPrototypeOf(a) !== ObjectGetPrototypeOf(b)) return false;
  if (seen.get(a) === b) return true;
  seen.set(a, b);
  return isSameKind(a, b, isStrict, seen) && haveSameKeys(a, b, isStrict, seen);
}

function isSameKind(a, b, isStrict, seen) {
  if (a instanceof Date) return b instanceof Date && Object.is(a.getTime(), b.getTime());
  if (a instanceof RegExp) return `${a}` === `${b}` && a.lastIndex === b.lastIndex;
  if (a instanceof Error) return a.message === b.message && a.name === b.name;
  if (a instanceof Map) return areSameEntries(a, b, isStrict, seen);
  if (a instanceof Set) return areSameMembers(a, b, isStrict, seen);
  if (a instanceof ArrayBuffer) {
    return isSameKind(new Uint8Array(a), new Uint8Array(b), isStrict, seen);
  }
  if (ArrayBuffer.isView(a)) {
    if (a.byteLength !== b.byteLength) return false;
    if (a.length === undefined) return true;
    for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
    return true;
  }
  const boxed = a instanceof Number || a instanceof String || a instanceof Boolean;
  return boxed ? Object.is(a.valueOf(), b.valueOf()) : true;
}

function areSameEntries(a, b, isStrict, seen) {
  if (a.size !== b.size) return false;
  const others = [...b];
  for (const [key, value] of a) {
    const at = others.findIndex(
      ([otherKey, other]) =>
        compare(key, otherKey, isStrict, new Map(seen)) &&
        compare(value, other, isStrict, new Map(seen)),
    );
    if (at < 0) return false;
    // Each counts once.
    others.splice(at, 1);
  }
  return true;
}

function areSameMembers(a, b, isStrict, seen) {
  if (a.size !== b.size) return false;
  const others = [];
  for (const value of b) if (!a.has(value)) others.push(value);
  for (const value of a) {
    if (b.has(value)) continue;
    const at = others.findIndex((other) => compare(value, other, isStrict, new Map(seen)));
    if (at < 0) return false;
    others.splice(at, 1);
  }
  return true;
}

const isIndex = (key) => typeof key === 'string' && /^\d+$/.test(key);

function haveSameKeys(a, b, isStrict, seen) {
  const own = (object) =>
    ReflectOwnKeys(object).filter(
      (key) =>
        Object.prototype.propertyIsEnumerable.call(object, key) &&
        !(ArrayBuffer.isView(object) && isIndex(key)),
    );
  const keys = own(a);
  if (keys.length !== own(b).length) return false;
  for (const key of keys) {
    if (!Object.prototype.propertyIsEnumerable.call(b, key)) return false;
    if (!compare(a[key], b[key], isStrict, seen)) return false;
  }
  return true;
}
