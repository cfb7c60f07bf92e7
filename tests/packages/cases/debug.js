const debug = require('debug');

module.exports = () => {
  debug.enable('app:*,-app:hidden');
  const lines = [];
  const shown = debug('app:shown');
  const hidden = debug('app:hidden');
  shown.useColors = false;
  shown.log = hidden.log = (...given) => lines.push(given.map((x) => String(x).replace(/^\S+Z /, '').replace(/ \+\d+ms$/, '')));
  debug.formatters.h = (value) => value.toString('hex');
  shown('text %s %d %o', 'x', 5, { a: 1 });
  shown('bytes %h', Buffer.from('ab'));
  hidden('not this');
  const child = shown.extend('child');
  const enabled = [shown.enabled, hidden.enabled, child.enabled, debug.enabled('other')];
  return { lines, enabled, name: child.namespace, disabled: debug.disable() };
};
