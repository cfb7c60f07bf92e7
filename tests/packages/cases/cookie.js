const cookie = require('cookie');

module.exports = () => {
  const parse = cookie.parse ?? cookie.parseCookie;
  const serialize = cookie.serialize ?? ((name, value, options = {}) => cookie.stringifySetCookie({ name, value, ...options }));
  return {
    parsed: parse('a=b%20c; d="q"; e=; f=x=y; bad%=1; __proto__=z'), text: serialize('a', 'b c;é', { path: '/', httpOnly: true, secure: true, sameSite: 'lax', maxAge: 60, domain: 'x.org', expires: new Date(0), priority: 'high' }),
    encoded: serialize('n', 'v', { encode: (text) => text.toUpperCase() }), failed: (() => { try { serialize('a b', 'x'); return 0; } catch (error) { return error.name; } })(),
  };
};
