const { encode, decode, decodeMulti, ExtensionCodec } = require('@msgpack/msgpack');

module.exports = () => {
  const value = { n: null, i: [0, -1, 127, 128, 65536, 2 ** 40], f: 1.5, s: 'é ☃', b: new Uint8Array([1, 2, 3]), d: new Date(1700000000123), o: { x: true } };
  const bytes = encode(value, { sortKeys: true });
  const codec = new ExtensionCodec();
  codec.register({ type: 1, encode: (input) => (input instanceof Set ? encode([...input]) : null), decode: (data) => new Set(decode(data)) });
  return {
    hex: Buffer.from(bytes).toString('hex'), decoded: decode(bytes), bytes: [...decode(bytes).b],
    multi: [...decodeMulti(Buffer.concat([encode(1), encode('x')]))], set: [...decode(encode(new Set([1, 2]), { extensionCodec: codec }), { extensionCodec: codec })],
    big: String(decode(encode(2n ** 60n, { useBigInt64: true }), { useBigInt64: true })), failed: (() => { try { decode(Uint8Array.of(0x92, 1)); return 0; } catch (error) { return error.name; } })(),
  };
};
