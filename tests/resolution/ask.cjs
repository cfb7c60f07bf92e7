// Asks every probe `[folder, how, specifier]`: what it leads to, or the code of the error.

// Node has other codes for what leads nowhere and for what is not exported.
const NOT_FOUND = [
  'MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED',
  'ERR_PACKAGE_IMPORT_NOT_DEFINED', 'ERR_INVALID_PACKAGE_TARGET', 'ERR_INVALID_MODULE_SPECIFIER',
  'ERR_UNSUPPORTED_DIR_IMPORT',
];

module.exports = async (probes) => {
  const answers = [];
  for (const [folder, how, specifier] of probes) {
    try {
      if (how === 'require') {
        answers.push(require(`./${folder}/probe.cjs`)(specifier));
      } else {
        const { default: load } = await import(`./${folder}/probe.mjs`);
        const namespace = await load(specifier);
        answers.push(namespace.default ?? namespace);
      }
    } catch (error) {
      answers.push(NOT_FOUND.includes(error.code) ? 'not found' : `${error.code}`);
    }
  }
  return answers;
};
