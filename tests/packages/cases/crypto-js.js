const CryptoJS = require('crypto-js');

module.exports = () => {
  const key = CryptoJS.enc.Hex.parse('000102030405060708090a0b0c0d0e0f');
  const iv = CryptoJS.enc.Hex.parse('101112131415161718191a1b1c1d1e1f');
  const sealed = CryptoJS.AES.encrypt('message é', key, { iv, mode: CryptoJS.mode.CTR });
  const random = CryptoJS.AES.encrypt('by passphrase', 'secret').toString();
  return {
    hashes: ['MD5', 'SHA1', 'SHA256', 'SHA512', 'SHA3', 'RIPEMD160'].map((name) => String(CryptoJS[name]('abc'))),
    hmac: CryptoJS.HmacSHA256('message', 'key').toString(CryptoJS.enc.Base64), sealed: sealed.ciphertext.toString(),
    opened: CryptoJS.AES.decrypt({ ciphertext: sealed.ciphertext }, key, { iv, mode: CryptoJS.mode.CTR }).toString(CryptoJS.enc.Utf8),
    passphrase: CryptoJS.AES.decrypt(random, 'secret').toString(CryptoJS.enc.Utf8),
    derived: CryptoJS.PBKDF2('pw', 'salt', { keySize: 8, iterations: 10, hasher: CryptoJS.algo.SHA256 }).toString(),
    progressive: CryptoJS.algo.SHA256.create().update('a').update('bc').finalize().toString(),
    base64: CryptoJS.enc.Base64.stringify(CryptoJS.enc.Utf8.parse('Hello, é')),
  };
};
