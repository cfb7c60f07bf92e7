const yup = require('yup');

const schema = yup.object({
  name: yup.string().required(),
  age: yup.number().required().positive().integer(),
  email: yup.string().email(),
  website: yup.string().url().nullable(),
  createdOn: yup.date().default(() => new Date(0)),
  tags: yup.array().of(yup.string().min(2)),
});

module.exports = async () => {
  const good = await schema.validate({ name: 'jimmy', age: '24', website: null, tags: ['ab'] });
  const bad = await schema.validate({ age: -1.5, email: 'x', tags: ['a'] }, { abortEarly: false })
    .catch((error) => error.inner.map(({ path, message }) => [path, message]));
  return {
    good, bad, valid: [await schema.isValid({ name: 'a', age: 1 }), schema.isValidSync({})],
    cast: schema.cast({ name: 1, age: '7' }).age,
    when: await yup.object({ a: yup.bool(), b: yup.string().when('a', ([a], s) => (a ? s.required() : s)) })
      .validate({ a: true }).catch((error) => error.message),
    lazy: yup.lazy((value) => (typeof value === 'number' ? yup.number() : yup.string())).cast(5),
  };
};
