const { ulid, decodeTime, monotonicFactory, isValid } = require('ulid');

module.exports = () => {
  const next = monotonicFactory(() => 0.5);
  const ids = [next(1700000000000), next(1700000000000), next(1699999999999)];
  return {
    ids, sorted: [...ids].sort().join() === ids.join(), time: ids.map((id) => decodeTime(id)),
    random: /^[0-9A-HJKMNP-TV-Z]{26}$/.test(ulid()), at: ulid(1, () => 0),
    valid: [isValid ? isValid(ids[0]) : true],
  };
};
