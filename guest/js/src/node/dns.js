// `node:dns`: addresses are looked up by the host, when `fetch` is called, and nowhere else. An
// address that is one already is answered as Node does; every other question fails.

import { nextTick } from '../process.js';
import { isIP } from './net.js';
import { notSupported } from './unsupported.js';
import { invalidArgType, validateFunction } from './validate.js';

const WHY = 'names are looked up by the host, when fetch() is called';

const QUESTIONS = {
  __proto__: null,
  resolve: 'queryA',
  resolve4: 'queryA',
  resolve6: 'queryAaaa',
  resolveAny: 'queryAny',
  resolveCaa: 'queryCaa',
  resolveCname: 'queryCname',
  resolveMx: 'queryMx',
  resolveNaptr: 'queryNaptr',
  resolveNs: 'queryNs',
  resolvePtr: 'queryPtr',
  resolveSoa: 'querySoa',
  resolveSrv: 'querySrv',
  resolveTxt: 'queryTxt',
  reverse: 'getHostByAddr',
  lookupService: 'getnameinfo',
};

function refusal(name, syscall, hostname) {
  return Object.assign(notSupported(`dns.${name}()`, WHY), { syscall, hostname });
}

/** What `lookup` answers for an address, or for nothing: `{address, family}`; else it throws. */
function addressOf(hostname, options) {
  if (hostname && typeof hostname !== 'string') {
    throw invalidArgType('hostname', 'string', hostname);
  }
  if (!hostname) return { address: null, family: options.family === 6 ? 6 : 4 };
  const family = isIP(hostname);
  if (family === 0) throw refusal('lookup', 'getaddrinfo', hostname);
  return { address: hostname, family };
}

const toOptions = (given) => (typeof given === 'number' ? { family: given } : (given ?? {}));

function lookup(hostname, given, callback) {
  if (typeof given === 'function') [given, callback] = [undefined, given];
  validateFunction(callback, 'callback');
  const options = toOptions(given);
  try {
    const { address, family } = addressOf(hostname, options);
    if (options.all) nextTick(callback, null, address === null ? [] : [{ address, family }]);
    else nextTick(callback, null, address, family);
  } catch (error) {
    if (error.code !== 'ENOTSUP') throw error;
    nextTick(callback, error);
  }
  return {};
}

const promises = {
  async lookup(hostname, given) {
    const options = toOptions(given);
    const found = addressOf(hostname, options);
    return options.all ? [found] : found;
  },
};
const callbacks = { lookup };

for (const name of Object.keys(QUESTIONS)) {
  const syscall = QUESTIONS[name];
  callbacks[name] = (...args) => {
    const callback = args.pop();
    validateFunction(callback, 'callback');
    if (typeof args[0] !== 'string') throw invalidArgType('name', 'string', args[0]);
    nextTick(callback, refusal(name, syscall, args[0]));
    return {};
  };
  promises[name] = async (hostname) => {
    if (typeof hostname !== 'string') throw invalidArgType('name', 'string', hostname);
    throw refusal(name, syscall, hostname);
  };
}

let order = 'verbatim';
const settings = {
  getServers: () => [],
  setServers() {},
  getDefaultResultOrder: () => order,
  setDefaultResultOrder(value) {
    order = value;
  },
};

const codes = { ADDRCONFIG: 32, ALL: 16, V4MAPPED: 8 };
for (const name of [
  'NODATA',
  'FORMERR',
  'SERVFAIL',
  'NOTFOUND',
  'NOTIMP',
  'REFUSED',
  'BADQUERY',
  'BADNAME',
  'BADFAMILY',
  'BADRESP',
  'CONNREFUSED',
  'TIMEOUT',
  'EOF',
  'FILE',
  'NOMEM',
  'DESTRUCTION',
  'BADSTR',
  'BADFLAGS',
  'NONAME',
  'BADHINTS',
  'NOTINITIALIZED',
  'LOADIPHLPAPI',
  'ADDRGETNETWORKPARAMS',
  'CANCELLED',
]) {
  codes[name] = `E${name}`;
}

/** A class of resolvers with these functions. */
function resolverOf(functions) {
  class Resolver {
    cancel() {}

    getServers() {
      return [];
    }

    setServers() {}

    setLocalAddress() {}
  }
  for (const name of Object.keys(QUESTIONS)) {
    if (name !== 'lookupService') Resolver.prototype[name] = functions[name];
  }
  return Resolver;
}

promises.Resolver = resolverOf(promises);
Object.assign(promises, settings, codes);

export { promises };
export default { ...callbacks, Resolver: resolverOf(callbacks), ...settings, ...codes, promises };
