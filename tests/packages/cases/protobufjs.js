const protobuf = require('protobufjs');

const { root } = protobuf.parse(`syntax = "proto3"; package own;
  enum Kind { A = 0; B = 5; }
  message Item { string name = 1; repeated int32 numbers = 2; map<string, double> scores = 3; Kind kind = 4; oneof either { bool yes = 5; bytes data = 6; } Item child = 7; int64 big = 8; }`);
const Item = root.lookupType('own.Item');

module.exports = () => {
  const message = Item.create({ name: 'é', numbers: [1, -1, 300], scores: { a: 1.5 }, kind: 5, data: Buffer.from([1, 2]), child: { name: 'x' }, big: 9007199254740991 });
  const bytes = Item.encode(message).finish();
  const decoded = Item.decode(bytes);
  return {
    hex: Buffer.from(bytes).toString('hex'), object: Item.toObject(decoded, { enums: String, bytes: String, longs: String, defaults: false }),
    verified: [Item.verify({ name: 5 }), Item.verify({ name: 'x' })], json: decoded, from: Item.fromObject({ kind: 'B', numbers: ['7'] }).toJSON(),
    failed: (() => { try { Item.decode(Uint8Array.of(10, 200)); return 0; } catch (error) { return error.name; } })(),
    writer: Buffer.from(protobuf.Writer.create().uint32(8).string('z').sint64(-5).finish()).toString('hex'),
  };
};
