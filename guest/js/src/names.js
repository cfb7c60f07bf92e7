// The bundler renames what is declared twice (`Buffer3`, `_AbortSignal`). Programs read names.

import {
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  RegExpPrototypeExec,
} from './primordials.js';

const RENAMED = /^_*(.*?)\d*$/;

/** Gives a function the name that it is known by, if the bundler changed it. */
export function restoreName(value, name) {
  if (typeof value !== 'function' || value.name === name) return;
  if (RegExpPrototypeExec(RENAMED, `${value.name}`)?.[1] !== name) return;
  if (!ObjectGetOwnPropertyDescriptor(value, 'name')?.configurable) return;
  ObjectDefineProperty(value, 'name', { configurable: true, value: name });
}
