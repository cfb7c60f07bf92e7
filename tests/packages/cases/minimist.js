const minimist = require('minimist');

module.exports = () => [
  minimist(['-a', '1', '--beta=x', '--no-gamma', '-xyz', 'rest', '--', '-q'], { '--': true }),
  minimist(['--n', '007', '-v', 'file'], { string: ['n'], boolean: ['v'], alias: { v: 'verbose' }, default: { port: 80 } }),
  minimist(['--a.b', '1', '--a.c', '2', '--list', 'x', '--list', 'y', '--__proto__.z', '1']), minimist(['x', '--stop', 'y'], { stopEarly: true }),
];
