import { match, compile, pathToRegexp, parse, stringify } from 'path-to-regexp';

export default () => ({
  matched: [
    match('/users/:id')('/users/4%202'),
    match('/files/*path')('/files/a/b.txt'),
    match('/a{/:optional}')('/a'),
    match('/x')('/y'),
  ],
  compiled: [compile('/users/:id')({ id: 'a b' }), compile('/f/*p')({ p: ['x', 'y'] })],
  pattern: pathToRegexp('/:a-:b').regexp.source,
  keys: pathToRegexp('/:a/*rest').keys,
  text: stringify(parse('/a/:b{.:c}')),
});
