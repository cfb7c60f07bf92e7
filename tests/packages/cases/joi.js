const Joi = require('joi');

const schema = Joi.object({
  username: Joi.string().alphanum().min(3).max(30).required(),
  password: Joi.string().pattern(/^[a-zA-Z0-9]{3,30}$/),
  repeated: Joi.ref('password'),
  born: Joi.number().integer().min(1900).max(2030),
  email: Joi.string().email({ tlds: false }),
  list: Joi.array().items(Joi.number(), Joi.string()).unique(),
}).with('password', 'repeated').xor('email', 'born');

module.exports = () => {
  const tell = (value) => {
    const { error, value: made } = schema.validate(value, { abortEarly: false });
    return error ? error.details.map(({ message, type }) => [type, message]) : made;
  };
  return {
    good: tell({ username: 'ada', born: '1815x'.slice(0, 4), password: 'abc', repeated: 'abc' }),
    also: tell({ username: 'bob', email: 'bob@example.com', list: [1, 'x'] }),
    bad: tell({ username: 'a!', password: 'x', list: [1, 1] }),
    conditional: Joi.object({ a: Joi.boolean(), b: Joi.when('a', { is: true, then: Joi.required() }) })
      .validate({ a: true }).error.message,
    date: Joi.date().iso().validate('2024-01-02').value, attempt: Joi.attempt('5', Joi.number()),
  };
};
