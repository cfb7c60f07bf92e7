const { Command, Option, InvalidArgumentError } = require('commander');

module.exports = async () => {
  const lines = [];
  const program = new Command('tool').version('1.2.3').exitOverride().configureOutput({ writeOut: (text) => lines.push(text), writeErr: (text) => lines.push(text), getOutHelpWidth: () => 80 });
  program.option('-d, --debug', 'debug').addOption(new Option('--size <size>', 'size').choices(['s', 'l']).default('s'));
  let called;
  program.command('add <name> [more...]').option('-n <number>', 'number', (text) => { if (isNaN(text)) throw new InvalidArgumentError('not a number'); return Number(text); })
    .action(async (name, more, options) => { called = [name, more, options]; });
  await program.parseAsync(['add', 'x', 'y', 'z', '-n', '5', '-d', '--size', 'l'], { from: 'user' });
  const failures = [];
  for (const given of [['add'], ['--size', 'm'], ['nope'], ['--version'], ['add', 'x', '-n', 'y']]) {
    await program.parseAsync(given, { from: 'user' }).catch((error) => failures.push([error.code, error.exitCode]));
  }
  return { called, options: program.opts(), failures, lines, help: program.helpInformation() };
};
