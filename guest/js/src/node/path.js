// `node:path`: the POSIX half is the package `path-browserify`; the Windows half is ours.

import posixPackage from 'path-browserify';
import { process } from '../process.js';
import { invalidArgType, validateString } from './validate.js';

const SEPARATOR = /[\\/]/;
const DRIVE = /^[a-zA-Z]:/;
const SHARE = /^[\\/]{2}([^\\/]+)[\\/]+([^\\/]+)/;

const isSeparator = (c) => c === '\\' || c === '/';

/** Checks what is done to a path before it is done, since the package has texts of its own. */
const checked = (work) =>
  function (path, ...more) {
    validateString(path, 'path');
    return work(path, ...more);
  };

/**
 * What a path begins with: a device (`C:`, `\\server\share`), whether the path is absolute, and
 * how many characters both take.
 */
function rootOf(path) {
  const share = SHARE.exec(path);
  if (share !== null) {
    const [all, server, name] = share;
    const end = all.length < path.length ? all.length + 1 : all.length;
    return { device: `\\\\${server}\\${name}`, isAbsolute: true, end, isShare: true };
  }
  if (isSeparator(path[0])) return { device: '', isAbsolute: true, end: 1 };
  if (!DRIVE.test(path)) return { device: '', isAbsolute: false, end: 0 };
  const isAbsolute = isSeparator(path[2]);
  return { device: path.slice(0, 2), isAbsolute, end: isAbsolute ? 3 : 2 };
}

/** A path without `.`, `..` and doubled separators. */
function tidied(tail, mayGoAbove) {
  const out = [];
  for (const part of tail.split(SEPARATOR)) {
    if (part === '' || part === '.') continue;
    if (part !== '..') out.push(part);
    else if (out.length > 0 && out[out.length - 1] !== '..') out.pop();
    else if (mayGoAbove) out.push('..');
  }
  return out.join('\\');
}

function normalize(path) {
  validateString(path, 'path');
  if (path === '') return '.';
  const { device, isAbsolute, end, isShare } = rootOf(path);
  if (isShare && end === path.length && !isSeparator(path[end - 1])) return `${device}\\`;
  let tail = tidied(path.slice(end), !isAbsolute);
  if (tail === '' && !isAbsolute) tail = '.';
  if (tail !== '' && isSeparator(path[path.length - 1])) tail += '\\';
  // What looks like a drive in the middle must not become one.
  const hasDrive = DRIVE.test(tail) || /:(?:[\\/]|$)/.test(path);
  if (!isAbsolute && device === '' && hasDrive) return `.\\${tail}`;
  return `${device}${isAbsolute ? '\\' : ''}${tail}`;
}

function join(...parts) {
  let joined;
  let first;
  for (const part of parts) {
    validateString(part, 'path');
    if (part === '') continue;
    first ??= part;
    joined = joined === undefined ? part : `${joined}\\${part}`;
  }
  if (joined === undefined) return '.';
  // Only what begins as a share by itself is one.
  const isShare = /^[\\/]{2}[^\\/]/.test(first);
  if (!isShare) joined = joined.replace(/^[\\/]{2,}/, '\\');
  return normalize(joined);
}

function resolve(...parts) {
  let device = '';
  let tail = '';
  let isAbsolute = false;
  for (let i = parts.length - 1; i >= -1 && !(isAbsolute && device !== ''); i--) {
    const path = i >= 0 ? parts[i] : process.cwd();
    validateString(path, `paths[${i}]`);
    if (path === '') continue;
    const root = rootOf(path);
    if (root.device !== '') {
      if (device !== '' && root.device.toLowerCase() !== device.toLowerCase()) continue;
      device ||= root.device;
    }
    if (isAbsolute) continue;
    tail = `${path.slice(root.end)}\\${tail}`;
    isAbsolute = root.isAbsolute;
  }
  tail = tidied(tail, !isAbsolute);
  return `${device}${isAbsolute ? '\\' : ''}${tail}` || '.';
}

function relative(from, to) {
  validateString(from, 'from');
  validateString(to, 'to');
  if (from === to) return '';
  const [start, goal] = [resolve(from), resolve(to)];
  if (start.toLowerCase() === goal.toLowerCase()) return '';
  const split = (path) => path.split('\\').filter((part) => part !== '');
  const [a, b] = [split(start), split(goal)];
  let same = 0;
  while (same < a.length && same < b.length && a[same].toLowerCase() === b[same].toLowerCase()) {
    same++;
  }
  if (same === 0 && (rootOf(start).device !== '' || rootOf(goal).device !== '')) return goal;
  return [...a.slice(same).map(() => '..'), ...b.slice(same)].join('\\');
}

/** Where the last part of a path begins and ends, without separators behind it. */
function lastPart(path, from) {
  let end = path.length;
  while (end > from && isSeparator(path[end - 1])) end--;
  let start = end;
  while (start > from && !isSeparator(path[start - 1])) start--;
  return [start, end];
}

function dirname(path) {
  validateString(path, 'path');
  if (path === '') return '.';
  const { end: root, isAbsolute } = rootOf(path);
  if (path.length <= root) return path;
  let [at] = lastPart(path, root);
  if (at > root && isSeparator(path[at - 1])) at--;
  if (at <= root) return root === 0 && !isAbsolute ? '.' : path.slice(0, root);
  return path.slice(0, at);
}

const driveEnd = (path) => (DRIVE.test(path) ? 2 : 0);

function basename(path, suffix) {
  validateString(path, 'path');
  if (suffix !== undefined) validateString(suffix, 'suffix');
  const [start, end] = lastPart(path, driveEnd(path));
  const base = path.slice(start, end);
  const isCut = suffix && base !== suffix && base.endsWith(suffix);
  return isCut ? base.slice(0, -suffix.length) : base;
}

function extname(path) {
  validateString(path, 'path');
  return posixPackage.extname(basename(path));
}

function parse(path) {
  validateString(path, 'path');
  const { end } = rootOf(path);
  const root = path.slice(0, end);
  const rest = path.slice(end);
  const [from, to] = lastPart(rest, 0);
  const base = rest.slice(from, to);
  const ext = posixPackage.extname(base);
  let at = from;
  while (at > 0 && isSeparator(rest[at - 1])) at--;
  const dir = from === 0 ? root : root + rest.slice(0, at > 0 ? from - 1 : 0);
  return { root, dir, base, ext, name: base.slice(0, base.length - ext.length) };
}

function formatWith(separator) {
  return (parts) => {
    if (parts === null || typeof parts !== 'object') {
      throw invalidArgType('pathObject', 'Object', parts);
    }
    const dir = parts.dir || parts.root;
    const dot = parts.ext && !parts.ext.startsWith('.') ? '.' : '';
    const base = parts.base || `${parts.name || ''}${dot}${parts.ext || ''}`;
    if (!dir) return base;
    return dir === parts.root ? `${dir}${base}` : `${dir}${separator}${base}`;
  };
}

function toNamespacedPath(path) {
  if (typeof path !== 'string' || path === '') return path;
  const whole = resolve(path);
  if (/^\\\\[^.?]/.test(whole)) return `\\\\?\\UNC\\${whole.slice(2)}`;
  return DRIVE.test(whole) && whole[2] === '\\' ? `\\\\?\\${whole}` : whole;
}

export const win32 = {
  resolve,
  normalize,
  isAbsolute(path) {
    validateString(path, 'path');
    return rootOf(path).isAbsolute;
  },
  join,
  relative,
  toNamespacedPath,
  dirname,
  basename,
  extname,
  format: formatWith('\\'),
  parse,
  sep: '\\',
  delimiter: ';',
};

export const posix = { ...posixPackage };
for (const name of ['normalize', 'isAbsolute', 'dirname', 'extname', 'parse']) {
  posix[name] = checked(posixPackage[name]);
  Object.defineProperty(posix[name], 'name', { value: name });
}
posix.basename = function basename(path, suffix) {
  if (suffix !== undefined) validateString(suffix, 'suffix');
  validateString(path, 'path');
  return posixPackage.basename(path, suffix);
};
posix.join = function join(...parts) {
  for (const part of parts) validateString(part, 'path');
  return posixPackage.join(...parts);
};
posix.resolve = function resolve(...parts) {
  for (let i = parts.length - 1; i >= 0; i--) validateString(parts[i], `paths[${i}]`);
  return posixPackage.resolve(...parts);
};
posix.relative = function relative(from, to) {
  validateString(from, 'from');
  validateString(to, 'to');
  return posixPackage.relative(from, to);
};
posix.format = formatWith('/');
posix.toNamespacedPath = (path) => path;

Object.assign(posix, { win32, posix });
Object.assign(win32, { win32, posix });

export default posix;
