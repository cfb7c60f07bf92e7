// `util.parseEnv`: the format of `.env` files.

import { validateString } from './validate.js';

const LINE =
  /^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=[ \t]*("(?:[^"])*"|'(?:[^'])*'|`(?:[^`])*`|[^\n#]*)/gm;

export function parseEnv(content) {
  validateString(content, 'content');
  const values = {};
  for (const [, name, given] of content.replaceAll('\r\n', '\n').matchAll(LINE)) {
    const quote = given[0];
    const isQuoted = given.length > 1 && ['"', "'", '`'].includes(quote) && given.endsWith(quote);
    const text = isQuoted ? given.slice(1, -1) : given.trim();
    values[name] = quote === '"' && isQuoted ? text.replaceAll('\\n', '\n') : text;
  }
  return values;
}
