// Node's `stream/consumers`: all of a stream, or of any async iterable, in one value.

import { JSONParse, TypedArrayBuffer, append } from '../primordials.js';
import { Blob } from '../blob.js';
import { Buffer } from '../buffer.js';
import { TextDecoder } from '../encoding.js';

async function blob(stream) {
  const chunks = [];
  for await (const chunk of stream) append(chunks, chunk);
  return new Blob(chunks);
}

async function buffer(stream) {
  const chunks = [];
  for await (const chunk of stream) {
    append(chunks, typeof chunk === 'string' ? Buffer.from(chunk) : bytesOf(chunk));
  }
  return Buffer.concat(chunks);
}

function bytesOf(chunk) {
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  return Buffer.from(`${chunk}`);
}

async function arrayBuffer(stream) {
  return TypedArrayBuffer(new Uint8Array(await buffer(stream)));
}

async function text(stream) {
  const decoder = new TextDecoder();
  let all = '';
  for await (const chunk of stream) {
    all += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
  }
  return all + decoder.decode();
}

async function json(stream) {
  return JSONParse(await text(stream));
}

export default { arrayBuffer, blob, buffer, json, text };
