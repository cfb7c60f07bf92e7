// `node:net`: what there is to know about addresses. There are no sockets in a sandbox.

import { unsupported } from './unsupported.js';

const WHY = 'a function has no sockets; use fetch(), or WebSocket';

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const V4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
const GROUP = /^[\da-fA-F]{1,4}$/;
const ZONE = /^[\w.~-]+$/;

/** How many 16-bit groups a part of an IPv6 address has; NaN if it is none. */
function groups(text, mayEndInV4) {
  if (text === '') return 0;
  const parts = text.split(':');
  const last = parts[parts.length - 1];
  const isV4 = mayEndInV4 && last.includes('.');
  if (isV4 && !V4.test(last)) return NaN;
  const plain = isV4 ? parts.slice(0, -1) : parts;
  return plain.every((part) => GROUP.test(part)) ? plain.length + (isV4 ? 2 : 0) : NaN;
}

export function isIPv4(input) {
  return V4.test(`${input}`);
}

export function isIPv6(input) {
  const [address, zone, ...more] = `${input}`.split('%');
  if (more.length > 0 || (zone !== undefined && !ZONE.test(zone))) return false;
  const halves = address.split('::');
  if (halves.length > 2) return false;
  if (halves.length === 1) return groups(address, true) === 8;
  return groups(halves[0], false) + groups(halves[1], true) <= 7;
}

/** 4, 6, or 0 for what is no address. */
export function isIP(input) {
  if (isIPv4(input)) return 4;
  return isIPv6(input) ? 6 : 0;
}

let prefersFamily = true;
let familyTimeout = 250;

const connect = unsupported('net', 'connect', WHY);
const Socket = unsupported('net', 'Socket', WHY);

export default {
  BlockList: unsupported('net', 'BlockList', 'nothing here would use it'),
  SocketAddress: unsupported('net', 'SocketAddress', 'nothing here would use it'),
  connect,
  createConnection: connect,
  createServer: unsupported('net', 'createServer', 'a function cannot listen'),
  isIP,
  isIPv4,
  isIPv6,
  Server: unsupported('net', 'Server', 'a function cannot listen'),
  Socket,
  Stream: Socket,
  getDefaultAutoSelectFamily: () => prefersFamily,
  setDefaultAutoSelectFamily(value) {
    prefersFamily = value;
  },
  getDefaultAutoSelectFamilyAttemptTimeout: () => familyTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout(value) {
    familyTimeout = value;
  },
};
