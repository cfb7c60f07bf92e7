const EventEmitter = require('eventemitter3');

module.exports = () => {
  const seen = [];
  const emitter = new EventEmitter();
  const own = { name: 'own' };
  emitter.on('a', function (...given) { seen.push([this.name, ...given]); }, own);
  emitter.once('a', () => seen.push('once'));
  const answers = [emitter.emit('a', 1, 2), emitter.emit('a'), emitter.emit('nobody')];
  emitter.off('a');
  return { seen, answers, left: [emitter.eventNames(), emitter.listenerCount('a')] };
};
