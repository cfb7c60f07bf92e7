const winston = require('winston');
const { Writable } = require('stream');

module.exports = async () => {
  const lines = [];
  const stream = new Writable({ write(chunk, _, done) { lines.push(String(chunk).trim()); done(); } });
  const { format } = winston;
  const logger = winston.createLogger({
    level: 'info', defaultMeta: { service: 'own' },
    format: format.combine(format.errors({ stack: false }), format.splat(), format.json()),
    transports: [new winston.transports.Stream({ stream })],
  });
  logger.info('hello %s', 'Ada', { n: 1 });
  logger.debug('not shown');
  logger.child({ request: 7 }).warn('careful');
  logger.log({ level: 'error', message: 'bad' });
  logger.configure({ level: 'debug', format: format.printf(({ level, message }) => `${level}: ${message}`), transports: [new winston.transports.Stream({ stream })] });
  logger.debug('shown now');
  await new Promise((resolve) => setTimeout(resolve, 5));
  return { lines, levels: winston.config.npm.levels, enabled: [logger.isLevelEnabled('debug'), logger.isLevelEnabled('silly')] };
};
