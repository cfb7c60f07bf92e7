// Generated inputs for tests/properties/areas.js: the same ones for the same seed.

import fc from 'fast-check';

const { constant, constantFrom, integer, oneof, record, tuple } = fc;
const array = (of, maxLength = 6) => fc.array(of, { maxLength });
const weighted = (...pairs) =>
  oneof(...pairs.map(([weight, arbitrary]) => ({ weight, arbitrary })));

const units = array(integer({ min: 0, max: 0xffff }), 4).map((codes) =>
  String.fromCharCode(...codes),
);
const odd = constantFrom('', ' ', '%', '%41', '%zz', '+', '&', '=', '?', '#', '/', '\\', '.', '..');
const odder = constantFrom(
  'é',
  '💩',
  '\ud800',
  '\udc00x',
  '\u0000',
  '\n',
  '\t',
  '"',
  "'",
  '<',
  '|',
  '^',
);
const text = weighted(
  [4, fc.string({ maxLength: 8 })],
  [2, array(oneof(odd, odder, constantFrom('a', 'b', 'key')), 5).map((parts) => parts.join(''))],
  [1, units],
);

const host = weighted(
  [
    3,
    constantFrom(
      'example.com',
      'EXAMPLE.com.',
      'a.b.c',
      'localhost',
      'münchen.de',
      'xn--mnchen-3ya.de',
    ),
  ],
  [
    3,
    constantFrom(
      '127.0.0.1',
      '0x7f.1',
      '127.1',
      '0300.0250.1',
      '256.1.1.1',
      '1.2.3.4.5',
      '4294967295',
    ),
  ],
  [2, constantFrom('4294967296', '0x', '1.', '09.1', '[::1]', '[1:2:3:4:5:6:7:8]', '[::1.2.3.4]')],
  [
    2,
    constantFrom(
      '[1::0:0:8]',
      '[:1]',
      '[::g]',
      'a b',
      'a%41',
      'a%2fb',
      'a<b',
      '',
      'a_b',
      '%',
      'ｅｘ.com',
    ),
  ],
  [1, text],
);
const scheme = weighted(
  [5, constantFrom('http:', 'https:', 'HTTP:', 'ws:', 'file:', 'ftp:')],
  [2, constantFrom('mailto:', 'data:', 'foo:', 'a+b-1.c:', 'javascript:', 'blob:', '1a:', ':')],
);
const port = constantFrom(
  '',
  '',
  '',
  ':80',
  ':443',
  ':8080',
  ':0',
  ':65535',
  ':65536',
  ':x',
  ':',
  ':00021',
);
const user = constantFrom('', '', '', 'u@', 'u:p@', ':p@', 'a b:c@d@', 'ü:%@', '@');
const segment = weighted(
  [
    4,
    constantFrom('a', 'b c', '.', '..', '%2e', '%2E%2e', '', 'é', 'C:', 'c|', "'", '"<>`{}|^', '~'),
  ],
  [1, text],
);
const path = tuple(array(segment, 5), constantFrom('/', '/', '\\')).map(
  ([all, by]) => by + all.join(by),
);
const query = oneof(
  constant(''),
  constant(''),
  text.map((t) => `?${t}`),
);
const fragment = oneof(
  constant(''),
  constant(''),
  text.map((t) => `#${t}`),
);
const whole = tuple(
  scheme,
  constantFrom('//', '//', '//', '/', '', '///', '\\\\'),
  user,
  host,
  port,
  path,
).chain((parts) => tuple(query, fragment).map((more) => [...parts, ...more].join('')));
const relative = oneof(
  path,
  tuple(path, query, fragment).map((parts) => parts.join('')),
  query,
  fragment,
  tuple(host, path).map(([name, rest]) => `//${name}${rest}`),
  text,
);
const base = constantFrom(
  'http://u:p@ex.com:81/a/b?c#d',
  'https://ex.com/a/b/c',
  'file:///C:/x/y',
  'file://host/x',
  'mailto:someone',
  'foo://h/a/b',
  'nope',
);
const value = oneof(
  text,
  host,
  path,
  constantFrom('80', '65536', '8x', 'http', 'foo:', 'ex.org:90'),
);
const part = constantFrom(
  ...['protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search'],
  ...['hash', 'href'],
);

const urlInput = oneof(
  record({ input: whole, sets: array(tuple(part, value), 3) }),
  record({ input: relative, base, sets: array(tuple(part, value), 1) }),
);

const pair = tuple(text, text);
const key = oneof(constantFrom('a', 'b', 'key', 'é'), text);
const search = record({
  init: oneof(
    text,
    array(pair).map((pairs) => pairs.map((p) => p.join('=')).join('&')),
    array(pair),
    fc.dictionary(text, text, { maxKeys: 4 }),
    array(tuple(text), 2),
  ),
  ops: array(
    oneof(
      tuple(constantFrom('append', 'set'), key, text),
      tuple(constantFrom('delete', 'has'), key),
      tuple(constantFrom('delete', 'has'), key, oneof(constant(null), text)),
      tuple(constantFrom('get', 'getAll'), key),
      constantFrom(['sort'], ['append', 'a'], ['get'], ['toString']),
    ),
    6,
  ),
});

const fieldName = weighted(
  [
    8,
    constantFrom('a', 'B', 'content-type', 'Set-Cookie', 'set-cookie', 'X-1', 'accept', 'Cookie'),
  ],
  [1, constantFrom('', 'a b', 'é', 'a:', '~x!#$', '\u0000', 'x\n')],
);
const fieldValue = weighted(
  [6, constantFrom('1', 'text/html', ' padded\t', 'a, b', '\r\n', 'é', '\u00ff', 'x=y; path=/')],
  [1, constantFrom('a\nb', '\u0000', '✓', 'a\rb', ' \t ')],
);
const headers = record({
  init: oneof(
    array(tuple(fieldName, fieldValue), 5),
    fc.dictionary(fieldName, fieldValue, { maxKeys: 4 }),
    array(tuple(fieldName), 1),
  ),
  ops: array(
    oneof(
      tuple(constantFrom('append', 'set'), fieldName, fieldValue),
      tuple(constantFrom('delete', 'get', 'has'), fieldName),
      constantFrom(['getSetCookie'], ['get'], ['append', 'a']),
    ),
    7,
  ),
});

const byte = weighted(
  [2, integer({ min: 0, max: 255 })],
  [1, constantFrom(0xef, 0xbb, 0xbf, 0xfe, 0xff, 0xd8, 0xdc, 0x00)],
);
const sequence = weighted(
  [2, array(byte, 6)],
  [2, text.map((t) => [...new TextEncoder().encode(t)])],
  [
    1,
    constantFrom(
      [0xef, 0xbb, 0xbf],
      [0xff, 0xfe],
      [0xfe, 0xff],
      [0xe0, 0x80],
      [0xf0, 0x90],
      [0xed, 0xa0],
    ),
  ],
  [1, text.map((t) => [...Buffer.from(t, 'utf16le')])],
);
const label = weighted(
  [
    6,
    constantFrom('utf-8', 'UTF8', ' utf-8\n', 'unicode-1-1-utf-8', 'utf-16le', 'utf-16', 'ucs-2'),
  ],
  [3, constantFrom('utf-16be', 'latin1', 'iso-8859-1', 'ascii', 'windows-1252', 'us-ascii', 'l1')],
  [1, constantFrom('', 'nope', 'utf-7', 'utf\u00a0-8', '\u00a0utf-8')],
);
const decoder = record({
  label,
  fatal: fc.boolean(),
  ignoreBOM: fc.boolean(),
  chunks: fc.array(sequence, { minLength: 1, maxLength: 5 }),
});

const encoder = record({
  text: array(text, 3).map((all) => all.join('')),
  size: integer({ min: 0, max: 12 }),
});

const base64Text = oneof(
  array(byte, 7).map((bytes) => Buffer.from(bytes).toString('base64')),
  array(
    constantFrom('Q', 'Y', 'W', 'J', 'j', '=', '==', ' ', '\n', '-', '_', '+', '/', 'é'),
    8,
  ).map((all) => all.join('')),
);
const base64 = record({
  text: base64Text,
  units: array(
    weighted([30, integer({ min: 0, max: 255 })], [1, integer({ min: 256, max: 0xffff })]),
    8,
  ),
});

const refs = array(integer({ min: 0, max: 20 }), 4);
const small = integer({ min: 0, max: 9 });
const node = weighted(
  [
    3,
    record({
      kind: constant('primitive'),
      value: array(oneof(small, fc.string({ maxLength: 4 }), fc.boolean(), constant(null)), 1).map(
        (v) => (v.length ? v : [1.5]),
      ),
    }),
  ],
  [
    1,
    record({
      kind: constantFrom('undefined', 'number', 'regexp', 'boxed', 'bigint'),
      value: small,
    }),
  ],
  [1, record({ kind: constant('date'), value: integer({ min: 0, max: 1e12 }) })],
  [1, record({ kind: constant('buffer'), value: array(small, 5) })],
  [2, record({ kind: constant('view'), value: fc.array(small, { minLength: 1, maxLength: 5 }) })],
  [2, record({ kind: constant('error'), value: tuple(small, fc.string({ maxLength: 4 })) })],
  [3, record({ kind: constant('array'), value: small, refs })],
  [4, record({ kind: constant('object'), value: small, refs })],
  [1, record({ kind: constant('instance'), value: small, refs })],
  [2, record({ kind: constantFrom('map', 'set'), value: small, refs })],
  [1, record({ kind: constant('odd'), value: small })],
);
const root = record({
  kind: constantFrom('array', 'object', 'map', 'set'),
  value: small,
  refs: fc.array(integer({ min: 0, max: 20 }), { minLength: 2, maxLength: 5 }),
});
const clone = record({
  nodes: oneof(
    tuple(root, array(node, 8)).map(([first, rest]) => [first, ...rest]),
    node.map((n) => [n]),
  ),
});

const index = oneof(constant(null), integer({ min: -12, max: 12 }));
const type = constantFrom('', 'text/plain', 'Text/HTML; Charset=UTF-8', 'é', 'image/png');
const blob = record({
  parts: array(oneof(text, array(byte, 5)), 4),
  slices: array(
    oneof(constant([]), tuple(index), tuple(index, index), tuple(index, index, type)),
    3,
  ),
  type,
});

const formName = oneof(constantFrom('a', 'b', 'a"b', 'é', 'x\ny', 'a\r', ''), text);
const form = record({
  entries: array(oneof(tuple(formName, text), tuple(formName, text, formName, type)), 4),
  ops: array(
    oneof(
      tuple(constantFrom('set', 'append'), constantFrom('a', 'b'), text),
      tuple(constantFrom('get', 'getAll', 'has', 'delete'), constantFrom('a', 'b')),
      constantFrom(['append', 'a'], ['get'], ['set', 'a', 'x', 'file']),
    ),
    4,
  ),
});

const line = constantFrom(
  ...['--X', '--X', '--X--', '--Y', '', '', 'value', 'é', '--', ' --X', '--X  '],
  'Content-Disposition: form-data; name="a"',
  'Content-Disposition: form-data; name="a"',
  'content-disposition: form-data; name="f"; filename="x.txt"',
  'Content-Disposition: form-data; name="f"; filename=""',
  'Content-Disposition: form-data; name="q%22q"',
  'Content-Disposition: form-data',
  'Content-Type: image/PNG',
  'X-Other: 1',
);
const wholePart = tuple(
  constantFrom(
    'name="a"',
    'name="b"; filename="f.bin"',
    'name="é"',
    'name="q%22"; filename="q%22.txt"',
  ),
  constantFrom('', 'Content-Type: text/HTML\r\n', 'X-Y: z\r\n'),
  // Node 20 takes any X for the boundary.
  oneof(
    text.map((t) => t.replaceAll('X', 'Y')),
    constantFrom('a\r\nb', '--Y', '\r\n', '\r', ''),
  ),
).map(
  ([more, head, body]) =>
    `--X\r\nContent-Disposition: form-data; ${more}\r\n${head}\r\n${body}\r\n`,
);
const multipart = record({
  body: weighted(
    [3, array(wholePart, 4).map((parts) => `${parts.join('')}--X--\r\n`)],
    [1, array(line, 9).map((lines) => lines.join('\r\n'))],
    [1, array(pair, 3).map((pairs) => pairs.map((p) => p.join('=')).join('&'))],
  ),
  type: weighted(
    [6, constantFrom('multipart/form-data; boundary=X', 'multipart/form-data; boundary="X"')],
    [
      2,
      constantFrom(
        'application/x-www-form-urlencoded',
        'application/x-www-form-urlencoded; charset=x',
      ),
    ],
    [
      1,
      constantFrom(
        'multipart/form-data',
        'text/plain',
        'application/json',
        'Multipart/Form-Data; Boundary=X',
      ),
    ],
  ),
});

const messages = record({
  kind: constantFrom('request', 'response'),
  init: record(
    {
      method: constantFrom('get', 'POST', 'put', 'patch', 'delete', 'TRACE', 'a b', 'x'),
      headers: array(tuple(fieldName, fieldValue), 2),
      redirect: constantFrom('follow', 'error', 'manual', 'x'),
      mode: constantFrom('cors', 'no-cors', 'same-origin', 'navigate', 'y'),
      credentials: constantFrom('omit', 'include', 'same-origin', 'z'),
      cache: constantFrom('default', 'no-store', 'reload', 'only-if-cached', 'w'),
      integrity: constantFrom('', 'sha256-x'),
      keepalive: fc.boolean(),
      referrerPolicy: constantFrom('', 'origin', 'v'),
      status: constantFrom(200, 204, 304, 404, 599, 199, 600, 101, '201', 1.5),
      statusText: constantFrom('', 'OK', 'a\nb', 'é'),
    },
    { requiredKeys: [] },
  ),
  body: oneof(constant(null), text),
});

const int = integer({ min: -20, max: 300 });
const place = oneof(constant(null), integer({ min: -2, max: 12 }));
const width = constantFrom(
  'Int8',
  'UInt8',
  'Int16LE',
  'UInt16BE',
  'Int32LE',
  'UInt32BE',
  'FloatLE',
  'DoubleBE',
);
const buffer = record({
  bytes: fc.array(byte, { minLength: 1, maxLength: 12 }),
  text,
  encoding: constantFrom(
    'utf8',
    'hex',
    'base64',
    'base64url',
    'latin1',
    'binary',
    'ascii',
    'utf16le',
    'ucs2',
    'nope',
  ),
  ops: array(
    oneof(
      tuple(
        width.map((w) => `read${w}`),
        place,
      ),
      tuple(
        width.map((w) => `write${w}`),
        int,
        place,
      ),
      tuple(constantFrom('readBigInt64LE', 'readBigUInt64BE'), place),
      tuple(constantFrom('writeBigInt64BE', 'writeBigUInt64LE'), int, place),
      tuple(
        constantFrom('readIntBE', 'readUIntLE'),
        integer({ min: 0, max: 6 }),
        integer({ min: 1, max: 6 }),
      ),
      tuple(
        constantFrom('indexOf', 'lastIndexOf', 'includes'),
        oneof(byte, text, array(byte, 3)),
        place,
      ),
      tuple(constant('fill'), oneof(int, text), place, place),
      tuple(constantFrom('slice', 'subarray'), place, place),
      tuple(constantFrom('compare', 'equals'), array(byte, 5)),
      tuple(constant('write'), text, place),
      tuple(constant('toString'), constantFrom('hex', 'utf8', 'latin1', 'base64url'), place, place),
      constantFrom(['swap16'], ['swap32'], ['swap64'], ['toJSON']),
    ),
    5,
  ),
});

const chunkSize = integer({ min: 1, max: 9 });
const readable = oneof(
  record({
    type: constant('default'),
    highWaterMark: integer({ min: 0, max: 3 }),
    ops: array(
      weighted(
        [4, tuple(constantFrom('enqueue', 'read'), chunkSize)],
        [1, tuple(constantFrom('close', 'error', 'release', 'cancel', 'tee'), chunkSize)],
      ),
      9,
    ),
  }),
  record({
    type: constant('bytes'),
    highWaterMark: integer({ min: 0, max: 9 }),
    ops: array(
      weighted(
        [4, tuple(constantFrom('enqueue', 'read', 'readInto'), chunkSize)],
        [1, tuple(constantFrom('close', 'error', 'release', 'cancel'), chunkSize)],
      ),
      9,
    ),
  }),
);
const writable = record({
  highWaterMark: integer({ min: 0, max: 3 }),
  ops: array(
    weighted(
      [5, tuple(constantFrom('write', 'done', 'ready'), chunkSize)],
      [1, tuple(constantFrom('close', 'abort', 'error', 'fail'), chunkSize)],
    ),
    9,
  ),
});
const pipes = record({
  chunks: array(integer({ min: 1, max: 25 }), 6),
  steps: array(constantFrom('double', 'twice', 'odd', 'throws', 'stop'), 3),
  highWaterMark: integer({ min: 0, max: 2 }),
  stop: integer({ min: 0, max: 5 }),
});
const texts = record({
  chunks: array(text, 4),
  label: constantFrom('utf-8', 'utf-16le'),
  fatal: fc.boolean(),
});

const arbitraries = {
  base64,
  blob,
  buffer,
  clone,
  decoder,
  encoder,
  form,
  headers,
  messages,
  multipart,
  pipes,
  readable,
  search,
  texts,
  url: urlInput,
  writable,
};

/** `count` inputs for an area. */
export function inputs(area, count, seed) {
  // Through JSON, so that all three see the same.
  const drawn = fc.sample(arbitraries[area], { numRuns: count, seed });
  return JSON.parse(JSON.stringify(drawn));
}
