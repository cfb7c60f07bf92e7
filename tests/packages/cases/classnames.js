const classNames = require('classnames');
const bind = require('classnames/bind');

module.exports = () => [
  classNames('a', { b: true, c: false }, ['d', { e: 1 }], null, undefined, 0, 7),
  classNames({ 'btn-primary': true }, [['nested', ['deep']]]),
  bind.call({ a: 'x1', b: 'x2' }, 'a', { b: true, c: true }),
  bind({ a: 'y1' }) instanceof Function,
];
