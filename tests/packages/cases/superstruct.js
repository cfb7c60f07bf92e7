const { object, string, number, array, optional, defaulted, refine, coerce, create, assert, is, validate, union, literal, StructError } = require('superstruct');

const Article = object({
  id: refine(number(), 'positive', (n) => n > 0),
  title: string(),
  tags: array(string()),
  state: defaulted(union([literal('draft'), literal('live')]), 'draft'),
  author: optional(object({ id: number() })),
});

module.exports = () => {
  const fail = (value) => {
    try { assert(value, Article); return null; } catch (error) {
      return [error instanceof StructError, error.path, error.message, [...error.failures()].length];
    }
  };
  return {
    created: create({ id: 1, title: 'x', tags: [] }, Article), is: is({ id: 1 }, Article),
    failures: [fail({ id: -1, title: 'x', tags: [], state: 'draft' }), fail({ id: 1, title: 2, tags: ['a', 3], state: 'draft' })],
    coerced: create('5', coerce(number(), string(), (text) => parseFloat(text))), validated: validate('x', number())[0].message,
  };
};
