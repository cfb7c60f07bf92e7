// `crypto` and `crypto.subtle`: the same code in Node and in a sandbox, and what one makes checked
// by the other.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { createRequire } from 'node:module';
import test from 'node:test';
import { run } from './harness.mjs';

const require = createRequire(import.meta.url);

/** What the body of a function returns in a sandbox, through JSON. `given` is there as `given`. */
async function inside(body, given = null) {
  const source = `
    const crypto = require('crypto');
    module.exports = async (req, res) => {
      const given = req.body.given;
      const attempt = ${attempt};
      res.json({ v: await (async () => { ${body} })() });
    };`;
  const options = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ given }),
  };
  const { body: text, failure } = await run(source, options);
  assert.equal(failure, undefined);
  return JSON.parse(text).v;
}

/** The same in Node. */
async function outside(body, given = null) {
  const AsyncFunction = (async () => {}).constructor;
  const run = new AsyncFunction('require', 'crypto', 'given', 'attempt', body);
  return JSON.parse(JSON.stringify((await run(require, crypto, given, attempt)) ?? null));
}

/** Runs something; what it throws in comparable form. */
async function attempt(work) {
  try {
    const value = await work();
    return ArrayBuffer.isView(value) ? Buffer.from(value).toString('hex') : value;
  } catch (error) {
    return [error.name, error.code ?? null, error.message];
  }
}

async function same(body, given) {
  const [here, there] = await Promise.all([inside(body, given), outside(body, given)]);
  assert.deepEqual(here, there);
  return here;
}

/** A list of expressions, each evaluated by `attempt`. */
const each = (expressions) =>
  `return Promise.all([${expressions.map((one) => `attempt(() => ${one})`).join(',\n')}])`;

const bytes = (length, seed = 1) =>
  crypto.createHash('shake128', { outputLength: length }).update(`${seed}`).digest('hex');

test('hashes and HMACs of any length, in one piece and in many', async () => {
  const names = ['md5', 'sha1', 'RSA-SHA256', 'SHA-384', 'sha512', 'sha224', 'sha512-256'];
  names.push('sha512-224', 'sha3-224', 'sha3-256', 'sha3-384', 'sha3-512', 'ripemd160', 'SHA256');
  const lengths = [0, 1, 55, 56, 63, 64, 111, 112, 127, 128, 129, 143, 144, 1000, 40000];
  await same(
    `const all = [];
    for (const name of given.names) for (const length of given.lengths) {
      const data = Buffer.alloc(length, 'abcdefghijk');
      const hash = crypto.createHash(name);
      for (let at = 0; at < length; at += 700) hash.update(data.subarray(at, at + 700));
      const copy = hash.copy();
      copy.update('more');
      const hmac = crypto.createHmac(name, data).update('x').update(data);
      all.push(hash.digest('hex'), copy.digest('base64url'), hmac.digest('base64'));
    }
    return all;`,
    { names, lengths },
  );
});

test('what createHash, createHmac and hash refuse', async () => {
  await same(
    each([
      "crypto.createHash('foo')",
      'crypto.createHash(3)',
      "crypto.createHash('md5').update(3)",
      "crypto.createHash('md5').update()",
      "(() => { const h = crypto.createHash('md5'); h.digest(); h.digest(); })()",
      "(() => { const h = crypto.createHash('md5'); h.digest(); h.update('x'); })()",
      "(() => { const h = crypto.createHash('md5'); h.digest(); h.copy(); })()",
      "crypto.createHash('sha256', { outputLength: 5 }).digest()",
      "crypto.createHash('sha256', { outputLength: 32 }).digest('hex')",
      "crypto.createHmac('foo', 'x')",
      "crypto.createHmac(1, 'x')",
      "crypto.createHmac('sha256', 3)",
      "crypto.createHmac('sha256', undefined)",
      "crypto.createHmac('sha256', null)",
      "(() => { const h = crypto.createHmac('md5', ''); h.digest(); return h.digest('hex'); })()",
      "crypto.createHmac('md5', crypto.createSecretKey(Buffer.from('k'))).update('é').digest('hex')",
      "crypto.createHmac('md5', 'k').update('00ff', 'hex').digest('hex')",
      "crypto.hash?.('sha1', 'x') ?? '11f6ad8ec52a2984abaafd7c3b516503785c2072'",
      "crypto.createHash('md5').update(new Uint16Array([1, 2])).digest('hex')",
      "crypto.createHash('md5').update(new DataView(new ArrayBuffer(3))).digest('hex')",
      "crypto.createHash('md5').update(new ArrayBuffer(3)).digest('hex')",
      "crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('ab'))",
      "crypto.timingSafeEqual('a', 'b')",
    ]),
  );
});

test('pbkdf2, scrypt and hkdf', async () => {
  await same(
    each([
      "crypto.pbkdf2Sync('password', 'salt', 1000, 70, 'sha512')",
      "crypto.pbkdf2Sync('password', 'salt', 1, 20, 'SHA1')",
      "crypto.pbkdf2Sync('', '', 3, 33, 'sha256')",
      "crypto.pbkdf2Sync('p', 's', 2, 130, 'sha3-256')",
      "crypto.pbkdf2Sync('a', 'b', 0, 3, 'sha1')",
      "crypto.pbkdf2Sync('a', 'b', 1, 3, 'foo')",
      "crypto.pbkdf2Sync('a', 'b', 1, 3)",
      "crypto.pbkdf2Sync('a', 'b', 1, -1, 'sha1')",
      "crypto.pbkdf2Sync('a', 'b', 1, 1.5, 'sha1')",
      "crypto.pbkdf2('a', 'b', 1, 1, 'sha1')",
      "crypto.pbkdf2Sync('a', 'b', 1, 0, 'sha1')",
      "crypto.pbkdf2Sync(1, 'b', 1, 0, 'sha1')",
      "require('util').promisify(crypto.pbkdf2)('a', 'b', 5, 9, 'sha256')",
      "crypto.scryptSync('password', 'NaCl', 64, { N: 1024, r: 8, p: 16 })",
      "crypto.scryptSync('', '', 64, { cost: 16, blockSize: 1, parallelization: 1 })",
      "crypto.scryptSync('a', 'b', 3, { N: 3 })",
      "crypto.scryptSync('a', 'b', 3, { N: 2 ** 16 })",
      "crypto.scryptSync('a', 'b', 0)",
      "crypto.scryptSync('a', 'b', 3, { N: 4, cost: 4 })",
      "crypto.scryptSync('a', 'b', 3, { N: '4' })",
      "require('util').promisify(crypto.scrypt)('a', 'b', 9, { N: 4 })",
      "Buffer.from(crypto.hkdfSync('sha256', 'a', 'b', 'c', 100))",
      "Buffer.from(crypto.hkdfSync('sha512', 'a', '', '', 0))",
      "crypto.hkdfSync('sha256', 'a', 'b', 'c', 9000)",
      "crypto.hkdfSync('foo', 'a', 'b', 'c', 4)",
    ]),
  );
});

test('ciphers in pieces, with every padding', async () => {
  const modes = [];
  for (const bits of [128, 192, 256]) {
    for (const mode of ['cbc', 'ecb', 'ctr', 'gcm']) modes.push([`aes-${bits}-${mode}`, bits / 8]);
  }
  modes.push(['chacha20-poly1305', 32]);
  await same(
    `const all = [];
    for (const [name, length] of given.modes) for (const size of [0, 1, 15, 16, 17, 64, 700]) {
      const key = Buffer.from(given.key, 'hex').subarray(0, length);
      const hasTag = /gcm|poly/.test(name);
      const iv = name.endsWith('ecb') ? null : Buffer.from(given.iv, 'hex').subarray(0, hasTag ? 12 : 16);
      const options = hasTag ? { authTagLength: 16 } : undefined;
      const cipher = crypto.createCipheriv(name, key, iv, options);
      if (hasTag) cipher.setAAD(Buffer.from('additional data, of some length'));
      const data = Buffer.alloc(size, 'some text');
      let hex = '';
      for (let at = 0; at < size; at += 13) hex += cipher.update(data.subarray(at, at + 13), null, 'hex');
      hex += cipher.final('hex');
      all.push(hex, hasTag ? cipher.getAuthTag().toString('hex') : 0);
      const back = crypto.createDecipheriv(name, key, iv, options);
      if (hasTag) back.setAAD(Buffer.from('additional data, of some length')).setAuthTag(cipher.getAuthTag());
      const parts = [];
      for (let at = 0; at < hex.length; at += 34) parts.push(back.update(hex.slice(at, at + 34), 'hex'));
      parts.push(back.final());
      all.push(parts.map((part) => part.length), Buffer.concat(parts).toString('latin1'));
    }
    return all;`,
    { modes, key: bytes(32), iv: bytes(16, 2) },
  );
});

test('what ciphers refuse', async () => {
  const key = "Buffer.alloc(16, 'k')";
  const cbc = (rest) =>
    `(() => { const c = crypto.createCipheriv('aes-128-cbc', ${key}, ${key}); ${rest} })()`;
  const back = (rest) =>
    `(() => { const c = crypto.createDecipheriv('aes-128-cbc', ${key}, ${key}); ${rest} })()`;
  const gcm = (rest) =>
    `(() => { const c = crypto.createDecipheriv('aes-128-gcm', ${key}, ${key}.subarray(0, 12)); ${rest} })()`;
  await same(
    each([
      "crypto.createCipheriv('foo', 'a', 'b')",
      "crypto.createCipheriv('aes-128-cbc', 'a', 'b')",
      `crypto.createCipheriv('aes-128-cbc', 'a', ${key})`,
      `crypto.createCipheriv('aes-128-cbc', ${key}, 'b')`,
      `crypto.createCipheriv('aes-128-cbc', ${key}, null)`,
      `crypto.createCipheriv('aes-128-cbc', ${key})`,
      `crypto.createCipheriv('aes-128-ecb', ${key}, ${key})`,
      `crypto.createCipheriv('aes-128-gcm', ${key}, '')`,
      `crypto.createCipheriv('aes-128-gcm', ${key}, 'any length will do').update('x', 'utf8', 'hex')`,
      cbc('c.final(); c.final();'),
      cbc("c.final(); c.update('');"),
      cbc("c.setAutoPadding(false); c.update('x'); c.final();"),
      cbc('c.update(3);'),
      cbc('c.getAuthTag();'),
      cbc('c.setAAD(Buffer.alloc(1));'),
      back("c.update('x'.repeat(16)); c.final();"),
      back("c.update('x'.repeat(15)); c.final();"),
      back('c.final();'),
      gcm("c.update('x'.repeat(16)); c.final();"),
      gcm("c.setAuthTag(Buffer.alloc(16)); c.update('x'.repeat(16)); c.final();"),
      gcm('c.setAuthTag(Buffer.alloc(3));'),
      gcm('c.setAuthTag(Buffer.alloc(16)); c.setAuthTag(Buffer.alloc(16));'),
      `crypto.createCipheriv('aes-128-gcm', ${key}, ${key}).getAuthTag()`,
      "crypto.getCipherInfo('aes-256-gcm')",
      "crypto.getCipherInfo('AES-128-CBC', { keyLength: 16 })",
      "crypto.getCipherInfo('aes-128-ecb', { keyLength: 17 })",
      "crypto.getCipherInfo('chacha20-poly1305')",
      "crypto.getCipherInfo('foo')",
      'crypto.getCipherInfo(419)',
    ]),
  );
});

const KEYS = {
  rsa: crypto.generateKeyPairSync('rsa', { modulusLength: 1024 }),
  'P-256': crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': crypto.generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': crypto.generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  ed25519: crypto.generateKeyPairSync('ed25519'),
  x25519: crypto.generateKeyPairSync('x25519'),
};

/** A key in every format it has. */
function formats({ publicKey, privateKey }) {
  const all = [];
  const types = { rsa: ['pkcs8', 'pkcs1'], ec: ['pkcs8', 'sec1'] }[publicKey.asymmetricKeyType] ?? [
    'pkcs8',
  ];
  for (const format of ['pem', 'der']) {
    for (const type of types)
      all.push(['private', format, type, privateKey.export({ format, type })]);
    for (const type of types.includes('pkcs1') ? ['spki', 'pkcs1'] : ['spki']) {
      all.push(['public', format, type, publicKey.export({ format, type })]);
    }
  }
  for (const type of types) {
    const options = { format: 'pem', type, cipher: 'aes-256-cbc', passphrase: 'päss' };
    all.push(['private', 'pem', type, privateKey.export(options), 'päss']);
  }
  all.push(['private', 'jwk', undefined, privateKey.export({ format: 'jwk' })]);
  all.push(['public', 'jwk', undefined, publicKey.export({ format: 'jwk' })]);
  return all.map(([kind, format, type, key, passphrase]) => ({
    kind,
    format,
    type,
    passphrase,
    key: Buffer.isBuffer(key) ? key.toString('hex') : key,
  }));
}

test('keys are read and written in every format as Node does', async () => {
  for (const name of Object.keys(KEYS)) {
    await same(
      `return given.map(({ kind, format, type, key, passphrase }) => {
        const input = { key: format === 'der' ? Buffer.from(key, 'hex') : key, format, type, passphrase };
        const one = kind === 'private' ? crypto.createPrivateKey(input) : crypto.createPublicKey(input);
        const half = crypto.createPublicKey(kind === 'private' ? one : input);
        const out = [one.type, one.asymmetricKeyType, half.type, one.equals(half), half.equals(half)];
        const details = one.asymmetricKeyDetails;
        out.push(JSON.stringify(details, (k, v) => typeof v === 'bigint' ? String(v) : v));
        out.push(half.export({ format: 'pem', type: 'spki' }), half.export({ format: 'jwk' }));
        if (kind === 'private') {
          out.push(one.export({ format: 'pem', type: 'pkcs8' }), one.export({ format: 'jwk' }));
          if (one.asymmetricKeyType === 'ec') out.push(one.export({ format: 'pem', type: 'sec1' }));
          if (one.asymmetricKeyType === 'rsa') out.push(one.export({ format: 'der', type: 'pkcs1' }).toString('hex'));
        }
        return out;
      });`,
      formats(KEYS[name]),
    );
  }
});

test('encrypted keys that are written here are read by Node', async () => {
  for (const [name, type] of [
    ['rsa', 'pkcs8'],
    ['rsa', 'pkcs1'],
    ['P-256', 'sec1'],
    ['ed25519', 'pkcs8'],
  ]) {
    const { privateKey } = KEYS[name];
    const pem = await inside(
      `return crypto.createPrivateKey(given.pem)
        .export({ format: 'pem', type: given.type, cipher: 'aes-128-cbc', passphrase: 'secret' });`,
      { pem: privateKey.export({ format: 'pem', type: 'pkcs8' }), type },
    );
    assert.match(pem, /ENCRYPTED/);
    assert.ok(crypto.createPrivateKey({ key: pem, passphrase: 'secret' }).equals(privateKey));
  }
});

test('what keys are refused', async () => {
  const pem = KEYS.rsa.privateKey.export({ format: 'pem', type: 'pkcs8' });
  const locked = KEYS.rsa.privateKey.export({
    format: 'pem',
    type: 'pkcs8',
    cipher: 'aes-128-cbc',
    passphrase: 'x',
  });
  await same(
    each([
      "crypto.createPrivateKey('abc')",
      "crypto.createPublicKey('abc')",
      'crypto.createPrivateKey(3)',
      "crypto.createSecretKey('abc').export().toString()",
      'crypto.createSecretKey(3)',
      'crypto.createSecretKey(Buffer.alloc(0)).symmetricKeySize',
      "crypto.createSecretKey('a').export({ format: 'jwk' })",
      "crypto.createPrivateKey({ key: Buffer.from('abc'), format: 'der' })",
      "crypto.createPublicKey({ key: { kty: 'RSA' }, format: 'jwk' })",
      "crypto.createPublicKey({ key: { kty: 'x' }, format: 'jwk' })",
      "crypto.createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }, format: 'jwk' })",
      'crypto.createPrivateKey(given.locked)',
      "crypto.createPrivateKey({ key: given.locked, passphrase: 'y' })",
      'crypto.createPrivateKey(given.pem).export()',
      "crypto.createPrivateKey(given.pem).export({ type: 'spki', format: 'pem' })",
      "crypto.createPrivateKey(given.pem).export({ type: 'pkcs8' })",
      "crypto.createPrivateKey(given.pem).export({ type: 'sec1', format: 'pem' })",
      "crypto.sign('sha256', Buffer.from('a'), crypto.createPublicKey(given.pem))",
      "crypto.sign('sha256', Buffer.from('a'), crypto.createSecretKey('a'))",
      "crypto.sign('foo', Buffer.from('a'), given.pem)",
      "crypto.createSign('foo')",
      'crypto.createSign(3)',
      "crypto.createSign('sha256').sign()",
      "crypto.createSign('sha256').sign('abc')",
      "crypto.createVerify('sha256').verify(undefined, Buffer.alloc(1))",
      "crypto.verify('sha256', Buffer.from('a'), given.pem, 'x')",
      "crypto.verify('sha256', Buffer.from('a'), given.pem, Buffer.from('x'))",
      "crypto.sign('sha256', Buffer.from('a'), { key: given.pem, padding: 6, saltLength: 200 })",
      "crypto.sign('sha256', Buffer.from('a'), { key: given.pem, dsaEncoding: 'x' })",
      "crypto.sign('sha256', Buffer.from('a'), { key: given.pem, padding: 9 })",
      'crypto.privateDecrypt(given.pem, Buffer.alloc(128))',
      'crypto.privateDecrypt(given.pem, Buffer.alloc(12))',
      'crypto.publicEncrypt(given.pem, Buffer.alloc(128))',
      "new crypto.KeyObject('x', 1)",
      'crypto.KeyObject.from(3)',
    ]),
    { pem, locked },
  );
});

const SIGNATURES = [
  ['rsa', 'sha256', {}],
  ['rsa', 'RSA-SHA1', {}],
  ['rsa', 'sha512', {}],
  ['rsa', 'sha3-256', {}],
  ['rsa', 'sha256', { padding: 6 }],
  ['rsa', 'sha384', { padding: 6, saltLength: -1 }],
  ['rsa', 'sha256', { padding: 6, saltLength: 7 }],
  ['P-256', 'sha256', {}],
  ['P-256', 'sha512', { dsaEncoding: 'ieee-p1363' }],
  ['P-384', 'sha1', {}],
  ['P-384', 'sha384', {}],
  ['P-521', 'sha512', {}],
  ['P-521', 'sha256', { dsaEncoding: 'ieee-p1363' }],
  ['ed25519', null, {}],
];

test('signatures made here are right in Node, and the other way round', async () => {
  const cases = SIGNATURES.map(([name, hash, options]) => {
    const { privateKey, publicKey } = KEYS[name];
    const data = Buffer.from(`data of ${name}`);
    return {
      hash,
      options,
      data: data.toString(),
      pem: privateKey.export({ format: 'pem', type: 'pkcs8' }),
      publicPem: publicKey.export({ format: 'pem', type: 'spki' }),
      signature: crypto.sign(hash, data, { key: privateKey, ...options }).toString('hex'),
    };
  });
  const made = await inside(
    `return given.map(({ hash, options, data, pem, publicPem, signature }) => {
      const bytes = Buffer.from(data);
      const key = { key: publicPem, ...options };
      const wrong = Buffer.from(signature, 'hex');
      wrong[wrong.length >> 1] ^= 1;
      const fine = crypto.verify(hash, bytes, key, Buffer.from(signature, 'hex'));
      const one = crypto.sign(hash, bytes, { key: pem, ...options }).toString('hex');
      const two = hash && crypto.createSign(hash).update(bytes).sign({ key: pem, ...options }, 'hex');
      return {
        signatures: hash ? [one, two] : [one],
        verified: [fine, crypto.verify(hash, bytes, key, wrong),
          crypto.verify(hash, Buffer.from('x'), key, Buffer.from(signature, 'hex')),
          hash ? crypto.createVerify(hash).update(bytes).verify(key, signature, 'hex') : true],
      };
    });`,
    cases,
  );
  made.forEach(({ signatures, verified }, i) => {
    const { hash, options, data, publicPem } = cases[i];
    assert.deepEqual(verified, [true, false, false, true], SIGNATURES[i].join());
    for (const signature of signatures) {
      const bytes = Buffer.from(signature, 'hex');
      assert.ok(
        crypto.verify(hash, Buffer.from(data), { key: publicPem, ...options }, bytes),
        `${SIGNATURES[i]}`,
      );
    }
  });
});

test('RSA encryption goes both ways', async () => {
  const { privateKey, publicKey } = KEYS.rsa;
  const pem = privateKey.export({ format: 'pem', type: 'pkcs1' });
  const options = [{}, { oaepHash: 'sha256', oaepLabel: Buffer.from('label') }];
  const given = {
    pem,
    encrypted: options.map((one) =>
      crypto.publicEncrypt({ key: publicKey, ...one }, Buffer.from('secret')).toString('hex'),
    ),
    signed: crypto.privateEncrypt(privateKey, Buffer.from('raw')).toString('hex'),
  };
  const made = await inside(
    `const options = [{}, { oaepHash: 'sha256', oaepLabel: Buffer.from('label') }];
    return {
      plain: options.map((one, i) => crypto.privateDecrypt({ key: given.pem, ...one }, Buffer.from(given.encrypted[i], 'hex')).toString()),
      raw: crypto.publicDecrypt(given.pem, Buffer.from(given.signed, 'hex')).toString(),
      encrypted: options.map((one) => crypto.publicEncrypt({ key: given.pem, ...one }, Buffer.from('mine')).toString('hex')),
      pkcs1: crypto.publicEncrypt({ key: given.pem, padding: crypto.constants.RSA_PKCS1_PADDING }, Buffer.from('mine')).toString('hex'),
      signed: crypto.privateEncrypt(given.pem, Buffer.from('mine')).toString('hex'),
    };`,
    given,
  );
  assert.deepEqual([made.plain, made.raw], [['secret', 'secret'], 'raw']);
  options.forEach((one, i) => {
    const key = { key: privateKey, ...one };
    assert.equal(`${crypto.privateDecrypt(key, Buffer.from(made.encrypted[i], 'hex'))}`, 'mine');
  });
  const unpadded = crypto.privateDecrypt(
    { key: privateKey, padding: 3 },
    Buffer.from(made.pkcs1, 'hex'),
  );
  assert.equal(unpadded.toString('latin1').slice(-5), '\0mine');
  assert.equal(`${crypto.publicDecrypt(publicKey, Buffer.from(made.signed, 'hex'))}`, 'mine');
});

test('new keys are good ones', async () => {
  const made = await inside(`
    const promised = require('util').promisify(crypto.generateKeyPair);
    const pems = [];
    for (const [type, options] of [['rsa', { modulusLength: 1024 }], ['ec', { namedCurve: 'prime256v1' }],
      ['ec', { namedCurve: 'P-521' }], ['ed25519'], ['x25519']]) {
      const { publicKey, privateKey } = await promised(type, {
        ...options,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      });
      pems.push([publicKey, privateKey]);
    }
    const callback = await new Promise((resolve) =>
      crypto.generateKeyPair('ed25519', undefined, (error, one, two) => resolve([error, one.type, two.type])));
    return { pems, callback, hmac: crypto.generateKeySync('hmac', { length: 100 }).symmetricKeySize,
      prime: crypto.generatePrimeSync(64, { bigint: true }).toString(), check: crypto.checkPrimeSync(561n) };`);
  for (const [publicPem, privatePem] of made.pems) {
    const key = crypto.createPrivateKey(privatePem);
    assert.ok(crypto.createPublicKey(key).equals(crypto.createPublicKey(publicPem)));
    if (key.asymmetricKeyType === 'x25519') continue;
    const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
    const signature = crypto.sign(hash, Buffer.from('x'), key);
    assert.ok(crypto.verify(hash, Buffer.from('x'), publicPem, signature));
  }
  assert.deepEqual(
    [made.callback, made.hmac, made.check],
    [[null, 'public', 'private'], 12, false],
  );
  assert.ok(crypto.checkPrimeSync(BigInt(made.prime)));
  await same(
    each([
      "crypto.generateKeyPairSync('foo')",
      "crypto.generateKeyPairSync('rsa')",
      "crypto.generateKeyPairSync('ec', { namedCurve: 'foo' })",
      "crypto.generateKeySync('aes', { length: 100 })",
      "crypto.generateKeyPairSync('rsa', { modulusLength: '1' })",
    ]),
  );
});

test('two sides agree on a secret', async () => {
  for (const curve of ['prime256v1', 'secp384r1', 'secp521r1']) {
    const node = crypto.createECDH(curve);
    node.generateKeys();
    const made = await inside(
      `const ecdh = crypto.createECDH(given.curve);
      const own = ecdh.generateKeys('hex', 'compressed');
      return { own, secret: ecdh.computeSecret(given.other, 'hex', 'hex'), private: ecdh.getPrivateKey('hex'),
        hybrid: crypto.ECDH.convertKey(own, given.curve, 'hex', 'hex', 'hybrid') };`,
      { curve, other: node.getPublicKey('hex') },
    );
    assert.equal(node.computeSecret(made.own, 'hex', 'hex'), made.secret);
    assert.equal(crypto.ECDH.convertKey(made.own, curve, 'hex', 'hex', 'hybrid'), made.hybrid);
  }
  const pair = ({ publicKey, privateKey }) => [
    publicKey.export({ format: 'pem', type: 'spki' }),
    privateKey.export({ format: 'pem', type: 'pkcs8' }),
  ];
  await same(
    `const agree = ([one], [, two]) =>
      crypto.diffieHellman({ publicKey: crypto.createPublicKey(one), privateKey: crypto.createPrivateKey(two) });
    return Promise.all([
      attempt(() => agree(given.x, given.x)), attempt(() => agree(given.ec, given.ec)),
      attempt(() => agree(given.ec, given.ed)),
      attempt(() => crypto.createECDH('foo')),
      attempt(() => crypto.createECDH('prime256v1').getPublicKey()),
      attempt(() => { const e = crypto.createECDH('prime256v1'); e.generateKeys(); e.computeSecret(Buffer.alloc(65)); }),
      attempt(() => crypto.createECDH('prime256v1').setPrivateKey(Buffer.alloc(32))),
    ]);`,
    { x: pair(KEYS.x25519), ec: pair(KEYS['P-256']), ed: pair(KEYS.ed25519) },
  );
});

test('random things have the shape that Node gives them', async () => {
  await same(
    each([
      "crypto.randomFillSync('x')",
      'crypto.randomFillSync(Buffer.alloc(3), 5)',
      'crypto.randomFillSync(Buffer.alloc(3), 1, 5)',
      'crypto.randomFillSync(new Uint32Array(4), 1, 2).length',
      'new Promise((resolve) => crypto.randomFill(Buffer.alloc(9), 3, (e, b) => resolve([e, b.length, b[0]])))',
      'crypto.randomBytes(-1)',
      "crypto.randomBytes('1')",
      'crypto.randomInt(5, 5)',
      "crypto.randomInt('5')",
      'crypto.randomInt(3, 4)',
      'crypto.randomUUID().length',
      'crypto.webcrypto.randomUUID().length',
      'Object.keys(crypto).length > 50',
    ]),
  );
});

test('subtle: what it makes is what Node makes', async () => {
  await same(
    `const { subtle } = globalThis.crypto;
    const hex = (buffer) => Buffer.from(buffer).toString('hex');
    const key = Buffer.from(given.key, 'hex');
    const iv = Buffer.from(given.iv, 'hex');
    const data = Buffer.from('some data of more than one block');
    const all = [];
    for (const name of ['SHA-1', 'sha-256', 'SHA-384', { name: 'SHA-512' }]) all.push(hex(await subtle.digest(name, data)));
    const hmac = await subtle.importKey('raw', key, { name: 'hmac', hash: 'sha-256' }, true, ['sign', 'verify']);
    const mac = await subtle.sign('HMAC', hmac, data);
    all.push(hex(mac), await subtle.verify('HMAC', hmac, mac, data), await subtle.verify('HMAC', hmac, mac, iv),
      hmac.algorithm, hmac.usages, hmac.type, hmac.extractable, String(hmac), await subtle.exportKey('jwk', hmac));
    for (const algorithm of [{ name: 'AES-CBC', iv }, { name: 'AES-GCM', iv, additionalData: iv, tagLength: 96 },
      { name: 'AES-GCM', iv }, { name: 'AES-CTR', counter: Buffer.alloc(16, 255), length: 4 }, { name: 'AES-CTR', counter: iv, length: 64 }]) {
      const aes = await subtle.importKey('raw', key, algorithm.name, true, ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey']);
      const secret = await subtle.encrypt(algorithm, aes, data);
      all.push(hex(secret), hex(await subtle.decrypt(algorithm, aes, secret)), await subtle.exportKey('jwk', aes));
      const wrapped = await subtle.wrapKey('jwk', hmac, aes, algorithm);
      const again = await subtle.unwrapKey('jwk', wrapped, aes, algorithm, { name: 'HMAC', hash: 'SHA-256' }, true, ['sign']);
      all.push(hex(await subtle.sign('HMAC', again, data)));
    }
    const kw = await subtle.importKey('raw', key, 'AES-KW', true, ['wrapKey', 'unwrapKey']);
    const wrapped = await subtle.wrapKey('raw', hmac, kw, 'AES-KW');
    all.push(hex(wrapped), (await subtle.unwrapKey('raw', wrapped, kw, 'AES-KW', 'AES-GCM', true, ['encrypt'])).algorithm);
    const base = await subtle.importKey('raw', key, 'PBKDF2', false, ['deriveBits', 'deriveKey']);
    const pbkdf2 = { name: 'PBKDF2', hash: 'SHA-256', salt: iv, iterations: 10 };
    all.push(hex(await subtle.deriveBits(pbkdf2, base, 256)));
    const derived = await subtle.deriveKey(pbkdf2, base, { name: 'AES-GCM', length: 256 }, true, ['encrypt']);
    all.push(hex(await subtle.exportKey('raw', derived)), derived.algorithm);
    const hkdf = await subtle.importKey('raw', key, 'HKDF', false, ['deriveBits', 'deriveKey']);
    all.push(hex(await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-512', salt: iv, info: data }, hkdf, 512)));
    const made = await subtle.deriveKey({ name: 'HKDF', hash: 'SHA-512', salt: iv, info: data }, hkdf, { name: 'HMAC', hash: 'SHA-1' }, true, ['sign']);
    all.push(await subtle.exportKey('jwk', made), made.algorithm);
    const ed = await subtle.importKey('jwk', given.ed, 'Ed25519', true, ['sign']);
    all.push(hex(await subtle.sign('Ed25519', ed, data)), await subtle.exportKey('jwk', ed), hex(await subtle.exportKey('pkcs8', ed)));
    const rsa = await subtle.importKey('jwk', given.rsa, { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, true, ['sign']);
    all.push(hex(await subtle.sign('RSASSA-PKCS1-v1_5', rsa, data)), await subtle.exportKey('jwk', rsa),
      { ...rsa.algorithm, publicExponent: hex(rsa.algorithm.publicExponent) });
    const ec = await subtle.importKey('jwk', given.ec, { name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']);
    const { d, ...half } = given.ec;
    const other = await subtle.importKey('jwk', half, { name: 'ECDH', namedCurve: 'P-256' }, true, []);
    const raw = await subtle.exportKey('raw', other);
    const third = await subtle.importKey('raw', raw, { name: 'ECDH', namedCurve: 'P-256' }, true, []);
    for (const length of [256, 128]) all.push(hex(await subtle.deriveBits({ name: 'ECDH', public: third }, ec, length)));
    all.push(hex(raw), hex(await subtle.exportKey('spki', other)), ec.algorithm);
    all.push(crypto.KeyObject.from(hmac).export().toString('hex'), crypto.createHmac('sha1', hmac).digest('hex'));
    return all;`,
    {
      key: bytes(32),
      iv: bytes(16, 2),
      ed: KEYS.ed25519.privateKey.export({ format: 'jwk' }),
      rsa: KEYS.rsa.privateKey.export({ format: 'jwk' }),
      ec: KEYS['P-256'].privateKey.export({ format: 'jwk' }),
    },
  );
});

test('subtle: new keys, and what is random, are right on both sides', async () => {
  const made = await inside(`
    const { subtle } = globalThis.crypto;
    const data = Buffer.from('data');
    const all = [];
    for (const [algorithm, usages, how] of [
      [{ name: 'ECDSA', namedCurve: 'P-256' }, ['sign', 'verify'], { name: 'ECDSA', hash: 'SHA-256' }],
      [{ name: 'ECDSA', namedCurve: 'P-384' }, ['sign', 'verify'], { name: 'ECDSA', hash: 'SHA-512' }],
      [{ name: 'RSA-PSS', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
        ['sign', 'verify'], { name: 'RSA-PSS', saltLength: 32 }],
      ['Ed25519', ['sign', 'verify'], 'Ed25519'],
    ]) {
      const { publicKey, privateKey } = await subtle.generateKey(algorithm, true, usages);
      const signature = await subtle.sign(how, privateKey, data);
      all.push({ algorithm, how, spki: Buffer.from(await subtle.exportKey('spki', publicKey)).toString('hex'),
        signature: Buffer.from(signature).toString('hex'), usages: [publicKey.usages, privateKey.usages],
        fine: await subtle.verify(how, publicKey, signature, data) });
    }
    const oaep = await subtle.generateKey({ name: 'RSA-OAEP', modulusLength: 1024,
      publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-1' }, false, ['encrypt', 'decrypt']);
    const secret = await subtle.encrypt({ name: 'RSA-OAEP' }, oaep.publicKey, data);
    const text = Buffer.from(await subtle.decrypt('RSA-OAEP', oaep.privateKey, secret)).toString();
    return { all, text, extractable: [oaep.publicKey.extractable, oaep.privateKey.extractable] };`);
  assert.deepEqual([made.text, made.extractable], ['data', [true, false]]);
  for (const { algorithm, how, spki, signature, usages, fine } of made.all) {
    const known = algorithm.publicExponent
      ? { name: algorithm.name, hash: algorithm.hash }
      : algorithm;
    const key = await crypto.subtle.importKey('spki', Buffer.from(spki, 'hex'), known, true, [
      'verify',
    ]);
    assert.ok(fine);
    assert.deepEqual(usages, [['verify'], ['sign']]);
    assert.ok(
      await crypto.subtle.verify(how, key, Buffer.from(signature, 'hex'), Buffer.from('data')),
    );
  }
});

test('subtle: what it refuses', async () => {
  const s = 'globalThis.crypto.subtle';
  const u = 'new Uint8Array(16)';
  const imported = `${s}.importKey('raw', ${u}, 'AES-GCM', false, ['decrypt'])`;
  const password = `${s}.importKey('raw', ${u}, 'PBKDF2', false, ['deriveBits', 'deriveKey'])`;
  const bits = (rounds, length) =>
    `${password}.then((p) => ${s}.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt: ${u}, iterations: ${rounds} }, p, ${length})).then((b) => b.byteLength)`;
  const jwk = (key) =>
    `${s}.importKey('jwk', ${key}, { name: 'HMAC', hash: 'SHA-256' }, true, ['sign']).then((k) => ${s}.exportKey('jwk', k))`;
  await same(
    each([
      `${s}.digest('foo', ${u})`,
      `${s}.digest('sha-256', 'x')`,
      `${s}.importKey('raw', ${u}, 'AES-GCM', true, [])`,
      `${s}.importKey('raw', ${u}, 'AES-GCM', true, ['sign'])`,
      `${s}.importKey('raw', new Uint8Array(3), 'AES-GCM', true, ['encrypt'])`,
      `${s}.importKey('foo', ${u}, 'AES-GCM', true, ['encrypt'])`,
      `${s}.importKey('spki', ${u}, 'AES-GCM', true, ['encrypt'])`,
      `${s}.importKey('spki', ${u}, { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify'])`,
      `${s}.importKey('raw', new Uint8Array(65), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify'])`,
      `${s}.importKey('raw', ${u}, 'FOO', true, ['encrypt'])`,
      `${s}.importKey('raw', ${u}, 'HMAC', true, ['sign'])`,
      `${s}.importKey('raw', new Uint8Array(0), { name: 'HMAC', hash: 'SHA-256' }, true, ['sign'])`,
      `${imported}.then((k) => ${s}.exportKey('raw', k))`,
      `${imported}.then((k) => ${s}.encrypt({ name: 'AES-GCM', iv: ${u} }, k, ${u}))`,
      `${imported}.then((k) => ${s}.decrypt({ name: 'AES-GCM', iv: ${u} }, k, ${u}))`,
      `${imported}.then((k) => ${s}.decrypt({ name: 'AES-GCM', iv: ${u} }, k, new Uint8Array(3)))`,
      `${imported}.then((k) => ${s}.decrypt({ name: 'AES-CBC', iv: ${u} }, k, ${u}))`,
      `${imported}.then((k) => ${s}.decrypt({ name: 'AES-GCM' }, k, ${u}))`,
      `${s}.decrypt({ name: 'AES-GCM', iv: ${u} }, {}, ${u})`,
      `${s}.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [])`,
      `${s}.generateKey({ name: 'ECDSA', namedCurve: 'foo' }, true, ['sign'])`,
      `${s}.generateKey({ name: 'AES-GCM', length: 100 }, true, ['encrypt'])`,
      `${s}.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify'])`,
      `${s}.generateKey({ name: 'HMAC', hash: 'SHA-384' }, true, ['sign']).then((k) => k.algorithm)`,
      `${s}.importKey('raw', ${u}, 'PBKDF2', true, ['deriveBits'])`,
      bits(0, 128),
      bits(1, 7),
      bits(1, 'null'),
      bits(1, 0),
      jwk("{ kty: 'oct', k: 'AAAA', alg: 'HS512' }"),
      jwk("{ kty: 'oct', k: 'AAAA', ext: false }"),
      jwk("{ kty: 'oct', k: 'AAAA', key_ops: ['verify'] }"),
      jwk("{ kty: 'oct', k: 'AAAA', use: 'enc' }"),
      jwk("{ kty: 'oct', k: 'AAAA' }"),
      jwk("'x'"),
      `${s}.digest.call({}, 'SHA-1', ${u})`,
      'new CryptoKey()',
    ]),
  );
});

test('while a snapshot is taken, what is certain is allowed and what is random is not', async () => {
  const { body } = await run(
    `const crypto = require('crypto');
    const hash = crypto.createHash('sha256').update(Buffer.alloc(20000)).copy();
    const key = crypto.createSecretKey('k');
    const cipher = crypto.createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
    cipher.update('x');
    module.exports = (req, res) => res.json([hash.digest('hex'), crypto.createHmac('sha1', key).digest('hex'),
      cipher.update('y', 'utf8', 'hex')]);`,
  );
  const cipher = crypto.createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  cipher.update('x');
  assert.deepEqual(JSON.parse(body), [
    crypto.createHash('sha256').update(Buffer.alloc(20000)).digest('hex'),
    crypto.createHmac('sha1', 'k').digest('hex'),
    cipher.update('y', 'utf8', 'hex'),
  ]);
});

test('hashes, ciphers and signatures are streams when they are used as such', async () => {
  const hasStreams = await inside(
    "try { require('stream'); return true; } catch { return false; }",
  );
  if (!hasStreams) return;
  await same(
    `const { PassThrough, Readable, Transform, pipeline } = require('stream');
    const key = Buffer.alloc(16);
    const wait = (work) => attempt(() => new Promise(work));
    const gather = (stream, resolve) => {
      const parts = [];
      stream.on('data', (part) => parts.push(part));
      stream.on('end', () => resolve(Buffer.concat(parts).toString('latin1')));
    };
    const piped = await wait((resolve, reject) => {
      const hash = crypto.createHash('sha256');
      Readable.from([Buffer.from('ab'), Buffer.from('c')]).pipe(hash).on('error', reject);
      hash.on('finish', () => resolve(hash.digest('hex')));
    });
    const read = await wait((resolve) => {
      const hash = crypto.createHash('sha256').setEncoding('hex');
      hash.on('readable', () => { const text = hash.read(); if (text) resolve(text); });
      hash.write('abc');
      hash.end();
    });
    const ciphers = [crypto.createCipheriv, crypto.createDecipheriv];
    const both = await wait((resolve, reject) => {
      const [one, two] = ciphers.map((make) => make('aes-128-cbc', key, key));
      gather(two, resolve);
      one.pipe(two);
      one.write('hello ');
      one.end('world');
    });
    const failed = await wait((resolve) => {
      const end = new PassThrough().resume();
      const source = Readable.from([Buffer.alloc(16, 7)]);
      const cipher = crypto.createDecipheriv('aes-128-cbc', key, key);
      pipeline(source, cipher, end, (error) => resolve(error.code));
    });
    const signed = await wait((resolve) => {
      const sign = crypto.createSign('sha256');
      sign.write('abc');
      sign.end();
      sign.on('finish', () => resolve(sign.sign(given, 'hex')));
    });
    const mac = await wait((resolve) => {
      const hmac = crypto.createHmac('sha256', 'k');
      gather(hmac, resolve);
      hmac.end('abc');
    });
    const isStream = crypto.createHash('md5') instanceof Transform;
    return [piped, read, both, failed, signed, mac, isStream];`,
    KEYS.rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }),
  );
});
