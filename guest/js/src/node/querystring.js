// `node:querystring`.

import { asBuffer } from '../buffer.js';
import querystring, { percentDecode } from '../querystring.js';

/** The bytes that percent-encoded text stands for. */
function unescapeBuffer(text) {
  return asBuffer(percentDecode(`${text}`));
}

export default { unescapeBuffer, ...querystring };
