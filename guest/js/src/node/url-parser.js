// URLs as the standard has them, for those that the host's parser takes apart in its own way: the
// state machine of `whatwg-url`, the standard's reference implementation. It saves a parser of our
// own; its tables of domain names (`tr46`) are left out, because the host has them (build.mjs).

import machine from 'whatwg-url/lib/url-state-machine.js';

const STATES = {
  __proto__: null,
  protocol: 'scheme start',
  host: 'host',
  hostname: 'hostname',
  port: 'port',
  pathname: 'path start',
  search: 'query',
  hash: 'fragment',
};

/** What `native.urlParse` answers: parts by their places, or null. */
function partsOf(url) {
  const hostname = url.host === null ? '' : machine.serializeHost(url.host);
  const port = url.port === null ? '' : `${url.port}`;
  return [
    machine.serializeURL(url),
    `${url.scheme}:`,
    url.username,
    url.password,
    port === '' ? hostname : `${hostname}:${port}`,
    hostname,
    port,
    machine.serializePath(url),
    url.query === null || url.query === '' ? '' : `?${url.query}`,
    url.fragment === null || url.fragment === '' ? '' : `#${url.fragment}`,
    machine.serializeURLOrigin(url),
  ];
}

function parse(input, base) {
  let baseURL = null;
  if (base !== undefined) {
    baseURL = machine.basicURLParse(base);
    if (baseURL === null) return null;
  }
  const url = machine.basicURLParse(input, { baseURL });
  return url === null ? null : partsOf(url);
}

function setPart(url, part, value) {
  const isOpaque = machine.hasAnOpaquePath(url);
  const noPort = machine.cannotHaveAUsernamePasswordPort(url);
  const read = (text) => machine.basicURLParse(text, { url, stateOverride: STATES[part] });
  switch (part) {
    case 'protocol':
      return void read(`${value}:`);
    case 'username':
      return void (noPort || machine.setTheUsername(url, value));
    case 'password':
      return void (noPort || machine.setThePassword(url, value));
    case 'port':
      if (noPort) return undefined;
      if (value === '') url.port = null;
      else read(value);
      return undefined;
    case 'pathname':
      if (isOpaque) return undefined;
      url.path = [];
      return void read(value);
    case 'search':
    case 'hash':
      return void setTail(url, part, value, read);
    default:
      return void (isOpaque || read(value));
  }
}

function setTail(url, part, value, read) {
  const name = part === 'search' ? 'query' : 'fragment';
  if (value === '') {
    url[name] = null;
    return;
  }
  url[name] = '';
  read(value[0] === (part === 'search' ? '?' : '#') ? value.slice(1) : value);
}

/** What `native.urlSet` answers. */
function set(href, part, value) {
  const url = machine.basicURLParse(href);
  if (url === null) return null;
  setPart(url, part, value);
  return partsOf(url);
}

export default { parse, set };
