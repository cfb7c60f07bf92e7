// `node:tty`: nothing here is a terminal.

import { unsupported } from './unsupported.js';

const WHY = 'a function has no terminal';

export default {
  isatty: () => false,
  ReadStream: unsupported('tty', 'ReadStream', WHY),
  WriteStream: unsupported('tty', 'WriteStream', WHY),
};
