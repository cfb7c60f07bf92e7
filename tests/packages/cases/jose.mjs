import * as jose from 'jose';
import keys from '../keys.js';

export default async () => {
  const secret = new TextEncoder().encode('a secret of at least thirty-two bytes');
  const now = 1700000000;
  const currentDate = new Date((now + 10) * 1000);
  const token = await new jose.SignJWT({ admin: true }).setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt(now).setIssuer('me').setExpirationTime(now + 3600).sign(secret);
  const verified = await jose.jwtVerify(token, secret, { issuer: 'me', currentDate });
  const fail = (work) => work.then(() => null, (error) => error.code);
  const rsa = await jose.importPKCS8(keys.rsa, 'RS256');
  const signed = await new jose.CompactSign(new TextEncoder().encode('text')).setProtectedHeader({ alg: 'RS256' }).sign(rsa);
  const jwe = await new jose.EncryptJWT({ hidden: 1 }).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(secret.slice(0, 32));
  return {
    token, payload: verified.payload, signed,
    expired: await fail(jose.jwtVerify(token, secret, { currentDate: new Date((now + 7200) * 1000) })),
    forged: await fail(jose.jwtVerify(token, new Uint8Array(32))), parts: jwe.split('.').length,
    decrypted: (await jose.jwtDecrypt(jwe, secret.slice(0, 32))).payload,
    thumbprint: await jose.calculateJwkThumbprint({ kty: 'oct', k: 'AAAA' }), decoded: jose.decodeJwt(token).iss,
  };
};
