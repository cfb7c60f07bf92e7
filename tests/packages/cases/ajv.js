const Ajv = require('ajv');

const ajv = new Ajv({ allErrors: true, useDefaults: true, coerceTypes: true });
const validate = ajv.compile({
  type: 'object',
  properties: {
    foo: { type: 'integer', minimum: 1 },
    bar: { type: 'string', pattern: '^x', nullable: true },
    list: { type: 'array', items: { $ref: '#/definitions/item' }, uniqueItems: true },
    mode: { enum: ['a', 'b'], default: 'a' },
  },
  required: ['foo'],
  additionalProperties: false,
  definitions: { item: { oneOf: [{ type: 'number' }, { type: 'boolean' }] } },
});

module.exports = () => {
  const tell = (data) => [validate(data), data, validate.errors?.map(({ instancePath, keyword, message }) =>
    [instancePath, keyword, message]) ?? null];
  ajv.addKeyword({ keyword: 'even', type: 'number', validate: (on, data) => !on || data % 2 === 0 });
  return {
    good: tell({ foo: '7', bar: null, list: [1, true] }), bad: tell({ foo: 0, bar: 'y', list: ['a', 'a'], z: 1 }),
    own: [ajv.validate({ even: true, type: 'number' }, 4), ajv.validate({ even: true, type: 'number' }, 3)],
    text: ajv.errorsText(), late: new Ajv().compile({ const: { a: [1] } })({ a: [1] }),
  };
};
