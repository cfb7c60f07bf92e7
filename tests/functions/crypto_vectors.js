// Everything of `crypto` whose result is certain. crypto_vectors.json is what Node.js 20 makes of
// it: `node -e "require('./crypto_vectors.js').results(require('./crypto_keys.json')).then((r) =>
// console.log(JSON.stringify(r, null, 1)))"`.

const crypto = require('crypto');

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const HASHES = [
  'md5',
  'ripemd160',
  'sha1',
  'sha224',
  'sha256',
  'sha384',
  'sha512',
  'sha512-224',
  'sha512-256',
  'sha3-224',
  'sha3-256',
  'sha3-384',
  'sha3-512',
];
const data = Buffer.alloc(1000, 'some text ');
const key = Buffer.alloc(32, 'key');
const iv = Buffer.alloc(16, 'iv');

function hashes() {
  const all = [];
  for (const name of HASHES) {
    const long = crypto.createHash(name);
    for (let i = 0; i < 50; i++) long.update(data);
    all.push([
      name,
      crypto.createHash(name).digest('hex'),
      long.copy().digest('base64'),
      long.update('more').digest('base64url'),
      crypto.createHmac(name, Buffer.alloc(0)).update(data).digest('hex'),
      crypto.createHmac(name, data).update('é').digest('hex'),
    ]);
  }
  return all;
}

function derived() {
  return [
    hex(crypto.pbkdf2Sync('password', 'salt', 1000, 70, 'sha512')),
    hex(crypto.pbkdf2Sync('password', 'salt', 10, 33, 'sha3-256')),
    hex(crypto.scryptSync('password', 'NaCl', 64, { N: 1024 })),
    hex(crypto.hkdfSync('sha256', 'key', 'salt', 'info', 100)),
  ];
}

function ciphers() {
  const all = [];
  for (const name of crypto
    .getCiphers()
    .filter((one) => /^aes-\d+-(cbc|ecb|ctr|gcm)$|^chacha20-poly1305$/.test(one))) {
    const bytes = /chacha/.test(name) ? 32 : Number(name.split('-')[1]) / 8;
    const hasTag = /gcm|poly/.test(name);
    const start = name.endsWith('ecb') ? null : hasTag ? iv.subarray(0, 12) : iv;
    const cipher = crypto.createCipheriv(name, key.subarray(0, bytes), start, {
      authTagLength: 16,
    });
    if (hasTag) cipher.setAAD(iv);
    const secret = Buffer.concat([
      cipher.update(data.subarray(0, 33)),
      cipher.update(data),
      cipher.final(),
    ]);
    const back = crypto.createDecipheriv(name, key.subarray(0, bytes), start, {
      authTagLength: 16,
    });
    if (hasTag) back.setAAD(iv).setAuthTag(cipher.getAuthTag());
    const plain = Buffer.concat([back.update(secret), back.final()]);
    all.push([
      name,
      hex(crypto.createHash('sha1').update(secret).digest()),
      hasTag && hex(cipher.getAuthTag()),
      plain.length,
    ]);
  }
  return all;
}

function attempt(work) {
  try {
    return work();
  } catch (error) {
    return [error.name, error.code, error.message];
  }
}

function signatures(given) {
  return given.signatures.map(({ hash, options, publicKey, privateKey, signature, isRandom }) => {
    const sign = () => crypto.sign(hash, data, { key: privateKey, ...options });
    const own = sign();
    const verify = (bytes, of = data) =>
      crypto.verify(hash, of, { key: publicKey, ...options }, bytes);
    const given = Buffer.from(signature, 'hex');
    return [isRandom ? 0 : hex(own), verify(own), verify(given), verify(given, iv), verify(iv)];
  });
}

function keys(given) {
  return given.signatures.map(({ publicKey, privateKey }) => {
    const one = crypto.createPrivateKey(privateKey);
    const half = crypto.createPublicKey(one);
    return [
      one.export({ format: 'jwk' }),
      one.export({ format: 'der', type: 'pkcs8' }).toString('hex'),
      half.export({ format: 'pem', type: 'spki' }),
      half.equals(crypto.createPublicKey(publicKey)),
    ];
  });
}

function generated() {
  const all = [];
  for (const [type, options] of [
    ['rsa', { modulusLength: 1024 }],
    ['ec', { namedCurve: 'P-256' }],
    ['ec', { namedCurve: 'P-384' }],
    ['ec', { namedCurve: 'P-521' }],
    ['ed25519'],
  ]) {
    const { publicKey, privateKey } = crypto.generateKeyPairSync(type, options);
    const hash = type === 'ed25519' ? null : 'sha256';
    all.push([type, crypto.verify(hash, data, publicKey, crypto.sign(hash, data, privateKey))]);
  }
  const [one, two] = [crypto.createECDH('prime256v1'), crypto.createECDH('prime256v1')];
  one.generateKeys();
  two.generateKeys();
  const isAgreed = one
    .computeSecret(two.getPublicKey())
    .equals(two.computeSecret(one.getPublicKey()));
  const x = [1, 2].map(() => crypto.generateKeyPairSync('x25519'));
  const secrets = [0, 1].map((i) =>
    hex(
      crypto.diffieHellman({
        privateKey: x[i].privateKey,
        publicKey: x[1 - i].publicKey,
      }),
    ),
  );
  return [
    all,
    isAgreed,
    secrets[0] === secrets[1],
    crypto.checkPrimeSync(crypto.generatePrimeSync(128)),
  ];
}

async function subtle(given) {
  const { subtle } = crypto.webcrypto;
  const all = [hex(await subtle.digest('SHA-256', data))];
  const hmac = await subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, true, [
    'sign',
    'verify',
  ]);
  all.push(hex(await subtle.sign('HMAC', hmac, data)), await subtle.exportKey('jwk', hmac));
  const aes = await subtle.importKey('raw', key, 'AES-GCM', true, ['encrypt', 'decrypt']);
  const secret = await subtle.encrypt({ name: 'AES-GCM', iv }, aes, data);
  all.push(
    hex(secret).slice(-32),
    Buffer.from(await subtle.decrypt({ name: 'AES-GCM', iv }, aes, secret)).equals(data),
  );
  const kw = await subtle.importKey('raw', key, 'AES-KW', true, ['wrapKey']);
  all.push(hex(await subtle.wrapKey('raw', hmac, kw, 'AES-KW')));
  const ed = await subtle.importKey('jwk', given.ed25519, 'Ed25519', true, ['sign']);
  all.push(hex(await subtle.sign('Ed25519', ed, data)));
  const pair = await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const how = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await subtle.sign(how, pair.privateKey, data);
  all.push(signature.byteLength, await subtle.verify(how, pair.publicKey, signature, data));
  return all;
}

function refused(given) {
  const wrong = Buffer.from(given.encrypted, 'hex');
  wrong[9] ^= 1;
  return [
    attempt(() => crypto.createHash('nonsense')),
    attempt(() => crypto.createHmac('sha256', undefined)),
    attempt(() => crypto.createPrivateKey('nonsense')),
    attempt(() => crypto.privateDecrypt(given.rsa, wrong)),
    attempt(() => crypto.timingSafeEqual(iv, key)),
    crypto.privateDecrypt(given.rsa, Buffer.from(given.encrypted, 'hex')).toString(),
    // Last, because Node.js reports it once more with what fails next.
    attempt(() => crypto.scryptSync('a', 'b', 3, { N: 2 ** 16 })),
  ];
}

async function results(given) {
  return {
    hashes: hashes(),
    derived: derived(),
    ciphers: ciphers(),
    keys: keys(given),
    signatures: signatures(given),
    generated: generated(),
    subtle: await subtle(given),
    refused: refused(given),
  };
}

module.exports = async (req, res) => res.json(await results(req.body));
module.exports.results = results;
