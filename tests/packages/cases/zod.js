const { z } = require('zod');

const User = z.object({
  name: z.string().min(2).trim(),
  email: z.email(),
  age: z.coerce.number().int().positive().optional(),
  role: z.enum(['admin', 'user']).default('user'),
  tags: z.array(z.string()).max(3),
}).strict();

module.exports = () => {
  const good = User.parse({ name: ' Ada ', email: 'ada@example.com', age: '36', tags: ['x'] });
  const bad = User.safeParse({ name: 'A', email: 'no', tags: 'x', extra: 1 });
  const shape = z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('circle'), r: z.number() }),
    z.object({ kind: z.literal('square'), a: z.number() }),
  ]);
  return {
    good, issues: bad.error.issues.map(({ path, code, message }) => [path.join('.'), code, message]),
    union: [shape.safeParse({ kind: 'circle', r: 1 }).success, shape.safeParse({ kind: 'circle', a: 1 }).success],
    transformed: z.string().transform((text) => text.length).pipe(z.number().min(3)).safeParse('ab').success,
    refined: z.string().refine((text) => text.startsWith('x'), 'must start with x').safeParse('y').error.issues[0].message,
    record: z.record(z.string(), z.number()).parse({ a: 1 }), partial: User.partial().parse({ name: 'Bob' }),
    date: z.coerce.date().parse('2024-02-29T00:00:00Z'),
  };
};
