const { BSON, ObjectId, Long, Decimal128, Binary, EJSON, UUID } = require('bson');

module.exports = () => {
  const id = new ObjectId('507f1f77bcf86cd799439011');
  const document = { _id: id, n: 1, f: 1.5, big: Long.fromString('9007199254740993'), d: new Date(0), s: 'é', list: [1, 'x', null], dec: Decimal128.fromString('1.10'), bin: new Binary(Buffer.from('ab')), re: /x/i };
  const bytes = BSON.serialize(document);
  const back = BSON.deserialize(bytes, { promoteLongs: false });
  return {
    hex: Buffer.from(bytes).toString('hex'), size: BSON.calculateObjectSize(document), ejson: EJSON.stringify(back), keys: Object.keys(back),
    id: [back._id.equals(id), id.getTimestamp(), ObjectId.isValid('x')], parsed: EJSON.parse('{"n":{"$numberLong":"5"}}'), random: new ObjectId().toHexString().length,
    uuid: new UUID('6ba7b810-9dad-11d1-80b4-00c04fd430c8').toHexString(),
  };
};
