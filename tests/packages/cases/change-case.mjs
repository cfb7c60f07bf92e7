import * as changeCase from 'change-case';

export default () => {
  const result = {};
  for (const name of ['camelCase', 'pascalCase', 'snakeCase', 'kebabCase', 'constantCase', 'dotCase',
    'pathCase', 'sentenceCase', 'capitalCase', 'trainCase', 'noCase']) {
    result[name] = ['twoWords', 'XMLHttpRequest', '__with  blanks-and_more', 'version 1.2.10']
      .map((text) => changeCase[name](text));
  }
  return result;
};
