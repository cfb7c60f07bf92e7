// Loading a deployment: its entry module, and the handler that it exports.

import { PromisePrototypeThen, StringPrototypeStartsWith } from './primordials.js';
import { codedError } from './errors.js';
import { eventJob } from './job.js';
import {
  loadedFiles,
  precompile,
  requireForImport,
  requireMain,
  setExpressionEntry,
} from './modules.js';
import { native, setLoading } from './native.js';
import { setEnvironment } from './process.js';
import { setRoute } from './request.js';
import { state } from './state.js';
import { workspaceJob } from './workspace.js';

let entry = '';

/** The hook `load`. A promise if the entry is an ES module. */
export function load(entryPath, env, route, deferred, files, kind) {
  state.kind = kind;
  entry = StringPrototypeStartsWith(entryPath, '/') ? entryPath : '/app/' + entryPath;
  setEnvironment(env);
  setRoute(route ?? null);
  if (kind === 'event') setExpressionEntry(entry);
  if (deferred) {
    precompile(files);
    return undefined;
  }
  setLoading(true);
  const loading = loadEntry();
  if (loading === undefined) {
    setLoading(false);
    return undefined;
  }
  return PromisePrototypeThen(loading, () => setLoading(false));
}

/** Evaluates the entry module and picks its handler. A promise if it is an ES module. */
export function loadEntry() {
  const found = native.resolve(entry, entry, 'import');
  const path = found[0];
  const format = found[1];
  if (format === 'module') {
    return PromisePrototypeThen(native.importModule(path), (namespace) => {
      setHandler(namespace, true);
    });
  }
  setHandler(requireMain(path, format), false);
  return undefined;
}

function setHandler(exported, isNamespace) {
  const { kind } = state;
  if (kind !== 'request') {
    state.job = kind === 'event' ? eventJob(exported, isNamespace) : workspaceJob(exported);
    return;
  }
  const whole = isNamespace ? exported.default : exported;
  const candidates = [whole, whole?.default];
  for (let i = 0; i < 2; i++) {
    const candidate = candidates[i];
    if (typeof candidate === 'function') {
      state.expressHandler = candidate;
      return;
    }
    if (hasFetch(candidate)) {
      state.webHandler = { call: candidate.fetch, target: candidate };
      return;
    }
  }
  throw codedError(
    'HANDLER_MISSING',
    'Module must export a function. ' + 'Expected: module.exports = function(req, res) {...}',
  );
}

function hasFetch(value) {
  return value !== null && typeof value === 'object' && typeof value.fetch === 'function';
}

export { loadedFiles, requireForImport };
