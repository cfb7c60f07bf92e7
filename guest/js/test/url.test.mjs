// `node:url`'s older half and `node:querystring` in the layer, compared with Node itself.

import test from 'node:test';
import { same } from './compare.mjs';

const T = 'const t = (f) => { try { return f() } catch (e) { return show(e) } };';
const INPUTS = `const inputs = ['http://a.com', 'http://user:pa%20ss@Host.COM:8080/p/a/t/h?query=string#hash', '/a/b?c=d#e', 'a/b', '?q=1', '#h', '',
  '//host/path', 'http://a.com/?', 'http://a.com#', 'mailto:user@example.com', 'javascript:alert("x y")', 'https://[::1]:3000/x', 'http://a.com:/x', 'file:///etc/passwd', 'file:/x',
  'http:foo', 'HTTP://A.b/C', 'http://a.com/ sp ace', "http://a.com/it's", 'http://a.com/a\\\\b', 'http://a\\\\b/c', ' http://trim.me/ ', 'x:y:z', 'http://a@b@c/', 'http://a.com/?a=b&a=c&d=%20+',
  'ws://h/x', 'git+ssh://git@host:x/y', 'http://a.com?x#y?z', 'http://ex.com/{a}|b^', 'data:text/plain,hi', 'http://münchen.de/ä', 'foo://bar', '//user@host/x', '/a//b', '../x', '.', 'a?b#c'];`;

test('parse and format', async () => {
  await same(`${T}${INPUTS}
    const url = require('url');
    const out = [];
    for (const input of inputs) out.push([input, t(() => url.parse(input)), t(() => url.format(url.parse(input))), t(() => url.parse(input, true).query), t(() => url.parse(input, false, true))]);
    for (const bad of [undefined, null, 5, {}]) out.push(t(() => url.parse(bad)));
    for (const parts of [{}, { protocol: 'http', host: 'a.com', pathname: 'x' }, { protocol: 'http:', hostname: 'a', port: 80, query: { a: [1, 2], b: 'c d' } }, { hostname: '::1', protocol: 'http' }, { pathname: '/a?b#c', search: 'x#y', hash: 'z' }, { protocol: 'mailto', auth: 'u', host: 'h' }, { auth: 'a:b@', host: 'h', slashes: true }, { search: '?a', query: { b: 1 } }, { protocol: 'file', pathname: '/x' }]) out.push(t(() => url.format(parts)));
    const whatwg = new URL('http://u:p@a.com/x?y#z');
    out.push(url.format(whatwg), url.format(whatwg, { auth: false, fragment: false, search: false }), t(() => url.format(5)), t(() => url.format('http://a/b c')));
    return out;`);
});

test('resolve', async () => {
  await same(`${T}
    const url = require('url');
    const out = [];
    for (const base of ['http://a.com/b/c/d;p?q#r', 'http://a.com', '/one/two/three', 'http://a.com/x/', 'https://u:p@h:1/x', '/']) {
      for (const to of ['', 'g', './g', 'g/', '/g', '//g', '?y', 'g?y', '#s', 'g#s', '.', './', '..', '../', '../g', '../..', '../../g', '../../../g', '/./g', '/../g', 'g.', '..g', './../g', 'g/./h', 'g/../h', 'http://x.y/z/../w', 'https://x.y', 'mailto:a@b']) out.push([base, to, t(() => url.resolve(base, to))]);
    }
    return out;`);
});

test('file URLs and options', async () => {
  await same(`${T}
    const url = require('url');
    const out = [];
    for (const path of ['/a/b', '/a b%?#\\\\\\n', '/ä/', '/a/../b', '/']) out.push(url.pathToFileURL(path).href);
    for (const input of ['file:///a/b%20c', 'http://a/b', 'file://host/x', 'file:///a%2Fb', 5, undefined, new URL('file:///x')]) out.push(t(() => url.fileURLToPath(input)));
    out.push(url.urlToHttpOptions(new URL('http://u:p%20@a.com:81/x?y#z')), url.domainToASCII('münchen.de'), url.domainToASCII('xn--iñvalid.com'), Object.keys(url).sort());
    return out;`);
});

test('querystring', async () => {
  await same(`${T}
    const qs = require('querystring');
    const out = [];
    for (const text of ['a=1&b=2', 'a=1&a=2&a=3', 'a', '=x', '&&', 'a=%zz', 'a=%E4', 'a+b=c+d', 'a=b=c', '%61=%62', '', 'a=1;b=2']) out.push(qs.parse(text), qs.parse(text, ';'), qs.parse(text, '&', ':'), qs.parse(text, null, null, { maxKeys: 1 }));
    for (const value of [{ a: 1 }, { a: ['x', 'y'], b: true, c: null, d: undefined, e: NaN, f: 5n, g: { h: 1 } }, 'x', null, undefined, { 'ä b': '&=' }]) out.push(qs.stringify(value), qs.stringify(value, ';', ':'));
    out.push(qs.escape('a b&ä😀!*()'), qs.unescape('%41%zz%C3%A4'), Object.keys(qs).sort(), qs.encode === qs.stringify, qs.decode === qs.parse, qs.unescapeBuffer('a%20b').toString());
    return out;`);
});
