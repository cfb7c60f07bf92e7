const nacl = require('tweetnacl');

const bytes = (length, from) => Uint8Array.from({ length }, (_, i) => (i * 7 + from) & 255);
const hex = (array) => Buffer.from(array).toString('hex');

module.exports = () => {
  const signer = nacl.sign.keyPair.fromSeed(bytes(32, 1));
  const [a, b] = [nacl.box.keyPair.fromSecretKey(bytes(32, 2)), nacl.box.keyPair.fromSecretKey(bytes(32, 3))];
  const message = new TextEncoder().encode('message');
  const signature = nacl.sign.detached(message, signer.secretKey);
  const boxed = nacl.box(message, bytes(24, 4), b.publicKey, a.secretKey);
  const sealed = nacl.secretbox(message, bytes(24, 5), bytes(32, 6));
  return {
    hash: hex(nacl.hash(message)), signature: hex(signature), valid: nacl.sign.detached.verify(message, signature, signer.publicKey),
    invalid: nacl.sign.detached.verify(bytes(7, 0), signature, signer.publicKey), boxed: hex(boxed),
    opened: hex(nacl.box.open(boxed, bytes(24, 4), a.publicKey, b.secretKey)), sealed: hex(sealed),
    tampered: nacl.secretbox.open(sealed.map((x) => x ^ 1), bytes(24, 5), bytes(32, 6)), random: nacl.randomBytes(16).length,
    shared: hex(nacl.scalarMult(a.secretKey, b.publicKey)),
  };
};
