// In place of the encoding module of `whatwg-url`, which makes its encoder before there is one.

import { native } from '../native.js';

export const utf8Encode = (text) => native.utf8Encode(text);
export const utf8DecodeWithoutBOM = (bytes) => native.utf8Decode(bytes, false);
