const pino = require('pino');

module.exports = () => {
  const lines = [];
  const logger = pino({
    base: { app: 'own' }, timestamp: false, redact: ['password', 'deep.*.secret'],
    serializers: { error: (error) => ({ text: error.message }) }, formatters: { level: (label) => ({ level: label }) },
  }, { write: (line) => lines.push(JSON.parse(line)) });
  logger.info({ n: 1, password: 'x' }, 'hello %s', 'Ada');
  logger.debug('not shown');
  logger.child({ request: 7 }, { level: 'debug' }).debug('shown');
  logger.error({ error: new Error('no'), deep: { a: { secret: 1, open: 2 } } });
  logger.level = 'fatal';
  logger.error('not shown');
  return { lines, levels: pino.levels.values, enabled: logger.isLevelEnabled('fatal') };
};
