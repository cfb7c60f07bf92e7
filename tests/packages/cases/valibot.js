const v = require('valibot');

const Login = v.object({
  email: v.pipe(v.string(), v.trim(), v.email('no email')),
  password: v.pipe(v.string(), v.minLength(8)),
  remember: v.optional(v.boolean(), false),
});

module.exports = () => {
  const bad = v.safeParse(Login, { email: 'x', password: 'short' });
  return {
    good: v.parse(Login, { email: ' a@b.org ', password: '12345678' }),
    issues: bad.issues.map((issue) => [v.getDotPath(issue), issue.type, issue.message]), flat: v.flatten(bad.issues),
    variant: v.is(v.variant('t', [v.object({ t: v.literal('a'), n: v.number() })]), { t: 'a', n: 1 }),
    transformed: v.parse(v.pipe(v.string(), v.transform(Number), v.integer()), '42'),
    union: v.safeParse(v.union([v.string(), v.number()]), true).success, tuple: v.is(v.tuple([v.string(), v.number()]), ['a', 1]),
  };
};
