import { Chalk } from 'chalk';

export default () => {
  const chalk = new Chalk({ level: 3 });
  const plain = new Chalk({ level: 0 });
  return [
    chalk.red.bold('x'), chalk.hex('#ff8800')('orange'), chalk.bgRgb(1, 2, 3).underline('u'), chalk.green(`a ${chalk.blue('b')} c`),
    plain.red('plain'), new Chalk({ level: 1 }).hex('#ff0000')('16'), new Chalk({ level: 2 }).rgb(10, 200, 30)('256'), chalk.dim('two\nlines'), chalk.inverse.visible('v'),
  ];
};
