import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { sha3_256, keccak_256 } from '@noble/hashes/sha3.js';
import { blake2b } from '@noble/hashes/blake2.js';
import { blake3 } from '@noble/hashes/blake3.js';
import { hmac } from '@noble/hashes/hmac.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { pbkdf2 } from '@noble/hashes/pbkdf2.js';
import { scrypt } from '@noble/hashes/scrypt.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

export default () => {
  const text = utf8ToBytes('abc é');
  const all = { sha256, sha512, sha3_256, keccak_256, blake2b, blake3 };
  const result = {};
  for (const [name, hash] of Object.entries(all)) result[name] = bytesToHex(hash(text));
  result.hmac = bytesToHex(hmac(sha256, text, text));
  result.hkdf = bytesToHex(hkdf(sha256, text, undefined, undefined, 42));
  result.pbkdf2 = bytesToHex(pbkdf2(sha512, 'pw', 'salt', { c: 5, dkLen: 32 }));
  result.scrypt = bytesToHex(scrypt('pw', 'salt', { N: 16, r: 1, p: 1, dkLen: 32 }));
  result.parts = bytesToHex(sha256.create().update(text.slice(0, 2)).update(text.slice(2)).digest());
  return result;
};
