const koa = require('koa');

const Koa = koa.default ?? koa;
const app = new Koa();
app.silent = true;
app.use(async (ctx, next) => {
  await next();
  ctx.set('x-after', String(ctx.status));
});
app.use(async (ctx, next) => {
  if (ctx.path === '/') ctx.body = 'home';
  else if (ctx.path === '/json') ctx.body = { query: ctx.query, method: ctx.method, is: ctx.accepts('json', 'html') };
  else if (ctx.path === '/moved') ctx.redirect('/json');
  else if (ctx.path === '/cookie') { ctx.cookies.set('a', 'b'); ctx.body = ctx.cookies.get('x') ?? 'none'; }
  else if (ctx.path === '/throws') ctx.throw(403, 'not you');
  else if (ctx.path === '/bytes') { ctx.body = Buffer.from('bytes'); ctx.type = 'application/x-own'; }
  else await next();
});

exports.handler = app.callback();
exports.requests = [
  { path: '/' }, { path: '/json?a=1&b=2', headers: { accept: 'text/html' } }, { path: '/moved' }, { path: '/cookie', headers: { cookie: 'x=y' } },
  { path: '/throws' }, { path: '/bytes' }, { path: '/none' }, { path: '/json', method: 'HEAD' },
];
