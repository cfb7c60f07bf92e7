const mitt = require('mitt');

module.exports = () => {
  const emitter = mitt();
  const seen = [];
  const handler = (event) => seen.push(event);
  emitter.on('a', handler);
  emitter.on('*', (type, event) => seen.push([type, event]));
  emitter.emit('a', { n: 1 });
  emitter.off('a', handler);
  emitter.emit('a', { n: 2 });
  emitter.emit('b');
  return { seen, types: [...emitter.all.keys()] };
};
