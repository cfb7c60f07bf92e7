import { secp256k1 } from '@noble/curves/secp256k1.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';

const hex = (bytes) => Buffer.from(bytes).toString('hex');

export default () => {
  const key = new Uint8Array(32).fill(7);
  const message = new TextEncoder().encode('message');
  const signature = secp256k1.sign(message, key);
  const ed = ed25519.sign(message, key);
  return {
    public: [secp256k1, p256, ed25519].map((curve) => hex(curve.getPublicKey(key))),
    signatures: [hex(signature), hex(ed), hex(p256.sign(message, key))],
    verified: [secp256k1.verify(signature, message, secp256k1.getPublicKey(key)), ed25519.verify(ed, message, ed25519.getPublicKey(key)),
      ed25519.verify(ed, key, ed25519.getPublicKey(key))],
    shared: [hex(x25519.getSharedSecret(key, x25519.getPublicKey(new Uint8Array(32).fill(9)))),
      hex(secp256k1.getSharedSecret(key, secp256k1.getPublicKey(new Uint8Array(32).fill(9))))],
    random: secp256k1.utils.randomSecretKey().length,
  };
};
