// `util.MIMEType` and `util.MIMEParams` (MIME Sniffing standard).

import { nodeError } from './validate.js';

const NOT_TOKEN = /[^!#$%&'*+\-.^_`|~A-Za-z0-9]/;
const NOT_QUOTABLE = /[^\t\u0020-~\u0080-\u00ff]/;
const SPACE = /^[\n\r\t ]+|[\n\r\t ]+$/g;

function invalid(what, text, at) {
  const place = at === undefined || at < 0 ? '' : ` at ${at}`;
  return nodeError(
    TypeError,
    'ERR_INVALID_MIME_SYNTAX',
    `The MIME syntax for a ${what} in "${text}" is invalid${place}`,
  );
}

function checkToken(token, what, whole = token) {
  const at = token.search(NOT_TOKEN);
  if (token === '' || at >= 0) throw invalid(what, whole, at);
  return token;
}

const quoted = (value) =>
  value === '' || NOT_TOKEN.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value;

/** The parameters after a type. */
export class MIMEParams {
  #data = new Map();

  get(name) {
    return this.#data.get(`${name}`) ?? null;
  }

  has(name) {
    return this.#data.has(`${name}`);
  }

  delete(name) {
    this.#data.delete(`${name}`);
  }

  set(name, value) {
    const text = `${value}`;
    checkToken(`${name}`, 'parameter name');
    const at = text.search(NOT_QUOTABLE);
    if (at >= 0) throw invalid('parameter value', text, at);
    this.#data.set(`${name}`, text);
  }

  *entries() {
    yield* this.#data.entries();
  }

  *keys() {
    yield* this.#data.keys();
  }

  *values() {
    yield* this.#data.values();
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  toString() {
    return [...this.#data].map(([name, value]) => `${name}=${quoted(value)}`).join(';');
  }

  toJSON() {
    return this.toString();
  }

  static read(text) {
    const params = new MIMEParams();
    for (const [, given, value] of text.matchAll(
      /;([^;=]*)(?:=("(?:[^"\\]|\\.?)*"?|[^;]*))?[^;]*/g,
    )) {
      const name = given.replace(SPACE, '').toLowerCase();
      if (value === undefined || name === '' || NOT_TOKEN.test(name)) continue;
      const isQuoted = value.startsWith('"');
      const plain = isQuoted
        ? value.slice(1).replace(/"$/, '').replace(/\\(.)/g, '$1')
        : value.replace(SPACE, '');
      if ((plain === '' && !isQuoted) || NOT_QUOTABLE.test(plain)) continue;
      if (!params.#data.has(name)) params.#data.set(name, plain);
    }
    return params;
  }
}

const readParams = MIMEParams.read;
delete MIMEParams.read;

/** `type/subtype;name=value`. */
export class MIMEType {
  #type;
  #subtype;
  #params;

  constructor(input) {
    const text = `${input}`.replace(SPACE, '');
    const semicolon = text.indexOf(';');
    const essence = semicolon < 0 ? text : text.slice(0, semicolon);
    const slash = essence.indexOf('/');
    const type = slash < 0 ? essence : essence.slice(0, slash);
    if (slash < 0) throw invalid('type', text, type.search(NOT_TOKEN));
    this.#type = checkToken(type, 'type', text).toLowerCase();
    const subtype = essence.slice(slash + 1).replace(/[\n\r\t ]+$/, '');
    const at = subtype.search(NOT_TOKEN);
    if (subtype === '' || at >= 0) throw invalid('subtype', text, at);
    this.#subtype = subtype.toLowerCase();
    this.#params = readParams(semicolon < 0 ? '' : text.slice(semicolon));
  }

  get type() {
    return this.#type;
  }

  set type(value) {
    this.#type = checkToken(`${value}`, 'type').toLowerCase();
  }

  get subtype() {
    return this.#subtype;
  }

  set subtype(value) {
    this.#subtype = checkToken(`${value}`, 'subtype').toLowerCase();
  }

  get essence() {
    return `${this.#type}/${this.#subtype}`;
  }

  get params() {
    return this.#params;
  }

  toString() {
    const params = this.#params.toString();
    return params === '' ? this.essence : `${this.essence};${params}`;
  }

  toJSON() {
    return this.toString();
  }
}
