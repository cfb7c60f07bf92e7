// `Router`: Express's router, itself a handler `(req, res, next)`, so that a module may export it.

import { pathToRegexp } from 'path-to-regexp';
import {
  ArrayIsArray,
  ObjectAssign,
  ObjectCreate,
  ObjectKeys,
  ObjectSetPrototypeOf,
  SafeString,
  append,
  decodeURIComponent,
  isObject,
} from '../primordials.js';
import { Buffer } from '../buffer.js';
import { console } from '../console.js';
import { codedError, typeError } from '../errors.js';
import { fail, hold, release } from '../lifecycle.js';
import METHODS from './methods.js';

// Layers

/** A path of Express 4 or of the seeds (`*`, `/:id?`) in the words of path-to-regexp 8. */
function modern(path) {
  let count = 0;
  return path
    .replace(/\/:(\w+)\?/g, '{/:$1}')
    .replace(/(\/?)\(\.\*\)/g, '$1*')
    .replace(/\*(?![\w"])/g, () => `{*__${count++}}`);
}

function invalidPath(path, error) {
  const made = typeError(
    'ERR_INVALID_ARG_VALUE',
    `Router: the path ${path} is invalid: ${error.message}`,
  );
  made.cause = error;
  return made;
}

/** `{regexp, keys}` of one path. */
function compile(path, options) {
  if (path instanceof RegExp) return { regexp: path, keys: null };
  if (typeof path !== 'string') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'Router: a path must be a string or a RegExp');
  }
  try {
    return pathToRegexp(modern(path), options);
  } catch (error) {
    throw invalidPath(path, error);
  }
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    const made = codedError('ERR_INVALID_URL', `Failed to decode param '${text}'`);
    made.name = 'URIError';
    made.status = 400;
    made.statusCode = 400;
    made.expose = true;
    made.cause = error;
    throw made;
  }
}

function paramsOf({ keys }, found) {
  const params = ObjectCreate(null);
  if (keys === null) {
    ObjectAssign(params, found.groups);
    for (let i = 1; i < found.length; i++) {
      if (found[i] !== undefined) params[i - 1] = decode(found[i]);
    }
    return params;
  }
  for (let i = 0; i < keys.length; i++) {
    const value = found[i + 1];
    const { name, type } = keys[i];
    // A bare `*` is a number and a string, a named one a list, as in Express 5.
    if (value === undefined) {
      if (name.startsWith('__')) params[name.slice(2)] = '';
    } else if (name.startsWith('__')) params[name.slice(2)] = decode(value);
    else params[name] = type === 'wildcard' ? value.split('/').map(decode) : decode(value);
  }
  return params;
}

class Layer {
  constructor(path, options, handle) {
    const isRoot = options.end === false && (path === '/' || path === '');
    this.matchers = isRoot
      ? null
      : [].concat(path).map((one) => compile(trimmed(one, options), options));
    this.handle = handle;
    this.route = undefined;
    this.name = handle?.name || '<anonymous>';
  }

  /** `{path, params}` if the layer is for this path. */
  match(path) {
    if (this.matchers === null) return { path: '', params: ObjectCreate(null) };
    for (const matcher of this.matchers) {
      matcher.regexp.lastIndex = 0;
      const found = matcher.regexp.exec(path);
      if (found !== null) return { path: found[0], params: paramsOf(matcher, found) };
    }
    return undefined;
  }
}

// What is mounted at `/api/` is mounted at `/api`.
function trimmed(path, { end }) {
  if (end !== false || typeof path !== 'string' || path.length < 2) return path;
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

function flatten(handlers, what) {
  const all = handlers.flat(Infinity);
  if (all.length === 0) throw typeError('ERR_INVALID_ARG_TYPE', `${what} requires a handler`);
  for (const handler of all) {
    if (typeof handler === 'function') continue;
    const kind = handler === null ? 'null' : typeof handler;
    throw typeError('ERR_INVALID_ARG_TYPE', `${what} requires functions, but got a ${kind}`);
  }
  return all;
}

/**
 * Calls one handler: one of four arguments for errors, any other for requests. Until a promise
 * that it answers has settled, the invocation is not over.
 */
function call(handle, error, req, res, next) {
  const isForErrors = handle.length === 4;
  if (isForErrors !== (error !== undefined)) {
    next(error);
    return;
  }
  // The middleware of that name does nothing where cookies were read, and would not set its secret.
  if (handle.name === 'cookieParser') req.cookies = undefined;
  let result;
  try {
    result = isForErrors ? handle(error, req, res, next) : handle(req, res, next);
  } catch (thrown) {
    next(thrown ?? nothingThrown(thrown));
    return;
  }
  if (result === undefined || !isObject(result) || typeof result.then !== 'function') return;
  hold();
  result.then(release, (rejected) => {
    try {
      next(rejected ?? nothingThrown(rejected));
    } finally {
      release();
    }
  });
}

const nothingThrown = (value) => new Error(`Rejected with ${SafeString(value)}`);

/** Layers may be many and all synchronous: this many are called on one stack. */
const DEPTH_MAX = 50;

// Routes

/** What `router.route(path)` answers: handlers of one path by method. */
class Route {
  constructor(path) {
    this.path = path;
    this.stack = [];
    this.methods = ObjectCreate(null);
  }

  _handles(method) {
    if (this.methods._all) return true;
    const name = method.toLowerCase();
    return Boolean(this.methods[name] || (name === 'head' && this.methods.get));
  }

  _methods() {
    const names = ObjectKeys(this.methods).filter((name) => name !== '_all');
    if (this.methods.get && !this.methods.head) append(names, 'head');
    return names.map((name) => name.toUpperCase());
  }

  dispatch(req, res, done) {
    let at = 0;
    let method = req.method.toLowerCase();
    if (method === 'head' && !this.methods.head) method = 'get';
    const next = (error) => {
      if (error === 'route') return done();
      if (error === 'router') return done(error);
      while (at < this.stack.length) {
        const { handle, method: own } = this.stack[at++];
        if (own !== undefined && own !== method) continue;
        return call(handle, error ?? undefined, req, res, next);
      }
      return done(error);
    };
    req.route = this;
    next();
  }

  all(...handlers) {
    for (const handle of flatten(handlers, 'Route.all()'))
      append(this.stack, { handle, method: undefined });
    this.methods._all = true;
    return this;
  }
}

for (const name of METHODS) {
  const method = name.toLowerCase();
  Route.prototype[method] = function add(...handlers) {
    for (const handle of flatten(handlers, `Route.${method}()`))
      append(this.stack, { handle, method });
    this.methods[method] = true;
    return this;
  };
}

// The router

/** `new Router()`, or `Router()`, with the options of Express. */
export function Router(options = {}) {
  const router = function router(req, res, next) {
    router.handle(req, res, next);
  };
  ObjectSetPrototypeOf(router, new.target?.prototype ?? Router.prototype);
  const { caseSensitive = false, mergeParams = false, strict = false } = options;
  router.caseSensitive = caseSensitive;
  router.mergeParams = mergeParams;
  router.strict = strict;
  router.stack = [];
  router.params = ObjectCreate(null);
  return router;
}

const pathOf = (url) => {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
};

/** One request's way through the layers of one router. */
class Passage {
  #router;
  #req;
  #res;
  #done;
  #at = 0;
  #depth = 0;
  /** What was taken off `req.url` for the layer that is being called. */
  #removed = '';
  #isSlashAdded = false;
  /** What has to be as it was when the router leaves the request to others. */
  #before;
  /** Methods that `OPTIONS` may be answered with. */
  #allowed = [];

  constructor(router, req, res, done) {
    this.#router = router;
    this.#req = req;
    this.#res = res;
    this.#done = done;
    const { baseUrl, next, params } = req;
    this.#before = { baseUrl, next, params };
    req.baseUrl ||= '';
    req.next = this.next;
  }

  next = (given) => {
    const error = given === 'route' ? undefined : (given ?? undefined);
    this.#putBack();
    if (error === 'router') {
      later(this.#leave, undefined);
    } else if (++this.#depth > DEPTH_MAX) {
      this.#depth = 0;
      later(this.next, error);
    } else {
      this.#search(error);
    }
  };

  #search(given) {
    const { stack } = this.#router;
    const path = pathOf(this.#req.url) || '/';
    let error = given;
    while (this.#at < stack.length) {
      const layer = stack[this.#at++];
      let match;
      try {
        match = layer.match(path);
      } catch (thrown) {
        error ??= thrown;
        continue;
      }
      if (match !== undefined && this.#isFor(layer, error)) {
        this.#call(layer, match, error);
        return;
      }
    }
    later(this.#leave, error);
  }

  /** Whether a layer whose path fits takes the method, and failures. */
  #isFor({ route }, error) {
    if (route === undefined) return true;
    if (error !== undefined) return false;
    const { method } = this.#req;
    if (route._handles(method)) return true;
    if (method === 'OPTIONS') this.#allowed.push(...route._methods());
    return false;
  }

  #call(layer, match, error) {
    const req = this.#req;
    const { mergeParams } = this.#router;
    req.params = mergeParams ? merged(match.params, this.#before.params) : match.params;
    callParams(this.#router, req, this.#res, match.params, (failed) => {
      if (failed !== undefined && failed !== null) this.next(error ?? failed);
      else if (layer.route !== undefined) layer.handle(req, this.#res, this.next);
      else this.#enter(layer, match.path, error);
    });
  }

  /** Calls what is mounted, which sees the rest of the path only. */
  #enter(layer, path, error) {
    const req = this.#req;
    if (path !== '') {
      this.#removed = path.endsWith('/') ? path.slice(0, -1) : path;
      const rest = req.url.slice(this.#removed.length);
      this.#isSlashAdded = !rest.startsWith('/');
      req.url = this.#isSlashAdded ? '/' + rest : rest;
      req.baseUrl = (this.#before.baseUrl || '') + this.#removed;
    }
    call(layer.handle, error, req, this.#res, this.next);
  }

  #putBack() {
    if (this.#removed === '') return;
    const req = this.#req;
    req.baseUrl = this.#before.baseUrl || '';
    req.url = this.#removed + (this.#isSlashAdded ? req.url.slice(1) : req.url);
    this.#isSlashAdded = false;
    this.#removed = '';
  }

  #leave = (error) => {
    if (error === undefined && this.#allowed.length > 0) {
      answerOptions(this.#res, this.#allowed);
      return;
    }
    ObjectAssign(this.#req, this.#before);
    this.#done(error);
  };
}

/** Calls what `param` added for the parameters of a match, each once for one value. */
function callParams(router, req, res, params, done) {
  const names = ObjectKeys(params).filter((name) => router.params[name] !== undefined);
  if (names.length === 0) {
    done();
    return;
  }
  req._seenParams ??= new Map();
  const steps = names.flatMap((name) => router.params[name].map((handler) => [name, handler]));
  let at = 0;
  const next = (error) => {
    if (at === steps.length || (error !== undefined && error !== null)) {
      done(error);
      return;
    }
    const [name, handler] = steps[at++];
    const value = params[name];
    if (req._seenParams.get(handler) === value) {
      next();
      return;
    }
    req._seenParams.set(handler, value);
    call((_req, _res, go) => handler(req, res, go, value, name), undefined, req, res, next);
  };
  next();
}

const methods = {
  handle(req, res, callback) {
    const isInner = typeof callback === 'function';
    const done = isInner ? callback : (error) => finish(req, res, error);
    new Passage(this, req, res, done).next();
  },

  param(name, handler) {
    if (typeof name !== 'string' || typeof handler !== 'function') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'Router.param() requires a name and a function');
    }
    this.params[name] ??= [];
    append(this.params[name], handler);
    return this;
  },

  use(first, ...rest) {
    const isPath = isPathLike(first);
    const path = isPath ? first : '/';
    const handlers = isPath ? rest : [first, ...rest];
    for (const handle of flatten(handlers, 'Router.use()')) {
      const options = { end: false, sensitive: this.caseSensitive, trailing: false };
      append(this.stack, new Layer(path, options, handle));
    }
    return this;
  },

  route(path) {
    const route = new Route(path);
    const options = { end: true, sensitive: this.caseSensitive, trailing: !this.strict };
    const layer = new Layer(path, options, (req, res, next) => route.dispatch(req, res, next));
    layer.route = route;
    append(this.stack, layer);
    return route;
  },

  all(path, ...handlers) {
    this.route(path).all(...handlers);
    return this;
  },
};

function isPathLike(value) {
  let one = value;
  while (ArrayIsArray(one) && one.length > 0) one = one[0];
  return typeof one !== 'function';
}

for (const name of METHODS) {
  const method = name.toLowerCase();
  methods[method] = function add(path, ...handlers) {
    this.route(path)[method](...handlers);
    return this;
  };
}

const merged = (own, parent) => ObjectAssign(ObjectCreate(null), parent, own);

function later(work, value) {
  hold();
  Promise.resolve().then(() => {
    try {
      work(value);
    } catch (error) {
      fail(error);
    } finally {
      release();
    }
  });
}

function answerOptions(res, allowed) {
  const list = [...new Set(allowed)].sort().join(', ');
  res.setHeader('Allow', list);
  res.setHeader('Content-Length', Buffer.byteLength(list));
  res.setHeader('Content-Type', 'text/plain');
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.end(list);
}

function statusOf(error) {
  const status = error?.status ?? error?.statusCode;
  return Number.isInteger(status) && status >= 400 && status <= 599 ? status : 500;
}

/** Where nobody answered: 404, or the status of the error. Messages of failures stay in the log. */
function finish(req, res, error) {
  if (error === undefined) {
    const message = `Cannot ${req.method} ${pathOf(req.originalUrl ?? req.url)}`;
    if (!res.headersSent) res.status(404).json({ success: false, message });
    return;
  }
  const status = statusOf(error);
  if (res.headersSent) {
    fail(error);
    return;
  }
  const isTold = error?.expose ?? status < 500;
  if (status >= 500) console.error(error);
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  const message = isTold ? SafeString(error?.message ?? error) : 'Internal Server Error';
  res.status(status).json({ success: false, message });
}

Router.prototype = ObjectCreate(Function.prototype);
Object.defineProperty(Router.prototype, 'constructor', { configurable: true, value: Router });
for (const name of ObjectKeys(methods)) {
  Object.defineProperty(Router.prototype, name, {
    configurable: true,
    value: methods[name],
    writable: true,
  });
}
Router.Router = Router;
Router.Route = Route;

export default Router;
