// Without a server of its own: as with other platforms for functions, requests are injected.
const Fastify = require('fastify');

module.exports = async () => {
  const app = Fastify({ logger: false });
  app.addHook('onSend', async (request, reply) => { reply.header('x-hook', 'sent'); });
  app.get('/users/:id', { schema: { params: { type: 'object', properties: { id: { type: 'integer' } } } } }, async ({ params, query }) => ({ params, query }));
  app.post('/echo', { schema: { body: { type: 'object', required: ['n'], properties: { n: { type: 'number' } } } } }, async (request, reply) => {
    reply.code(201);
    return request.body;
  });
  app.get('/throws', async () => { throw Object.assign(new Error('no'), { statusCode: 403 }); });
  app.register(async (scope) => { scope.get('/x', async () => 'in scope'); }, { prefix: '/scope' });
  const tell = async (options) => {
    const answer = await app.inject(options);
    return [answer.statusCode, answer.headers['content-type'], answer.headers['x-hook'], answer.body];
  };
  return [
    await tell('/users/7?a=1'), await tell('/users/x'), await tell({ method: 'POST', url: '/echo', payload: { n: '5' } }),
    await tell({ method: 'POST', url: '/echo', payload: {} }), await tell('/throws'), await tell('/scope/x'), await tell('/none'),
  ];
};
