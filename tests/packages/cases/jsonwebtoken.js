const jwt = require('jsonwebtoken');
const { generateKeyPairSync, createPublicKey } = require('crypto');
const keys = require('../keys');

module.exports = () => {
  const now = 1700000000;
  const token = jwt.sign({ sub: 'ada', iat: now, admin: true }, 's3cret', { expiresIn: '1h', audience: 'x', jwtid: '1' });
  const fail = (work) => { try { work(); return null; } catch (error) { return [error.name, error.message]; } };
  const rsa = jwt.sign({ a: 1, iat: now }, keys.rsa, { algorithm: 'RS256', keyid: 'k1' });
  const publicKey = createPublicKey(keys.rsa).export({ type: 'spki', format: 'pem' });
  return {
    token, verified: jwt.verify(token, 's3cret', { audience: 'x', clockTimestamp: now + 10 }),
    expired: fail(() => jwt.verify(token, 's3cret', { clockTimestamp: now + 3601 })),
    forged: fail(() => jwt.verify(token, 'other', { clockTimestamp: now })),
    other: fail(() => jwt.verify(token, 's3cret', { audience: 'y', clockTimestamp: now })),
    none: fail(() => jwt.verify('a.b.c', 's3cret')), hs512: jwt.sign({ iat: now }, 's3cret', { algorithm: 'HS512' }),
    rsa, rsaVerified: jwt.verify(rsa, publicKey, { algorithms: ['RS256'], complete: true }).header,
    confused: fail(() => jwt.verify(rsa, publicKey, { algorithms: ['HS256'] })),
    decoded: jwt.decode(token, { complete: true }).header, made: typeof generateKeyPairSync,
  };
};
