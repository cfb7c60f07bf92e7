const pako = require('pako');

const hex = (bytes) => Buffer.from(bytes).toString('hex');

module.exports = () => {
  const text = 'a text that repeats, a text that repeats, é '.repeat(50);
  const input = new TextEncoder().encode(text);
  const inflator = new pako.Inflate();
  const deflated = pako.deflate(input);
  inflator.push(deflated.subarray(0, 20), false);
  inflator.push(deflated.subarray(20), true);
  return {
    deflated: hex(deflated), raw: hex(pako.deflateRaw(input, { level: 1 })), gzip: pako.gzip(input).length,
    inflated: new TextDecoder().decode(pako.inflate(deflated)) === text, ungzipped: new TextDecoder().decode(pako.ungzip(pako.gzip(input))) === text,
    chunks: [inflator.err, inflator.result.length], failed: (() => { try { pako.inflate(Uint8Array.of(1, 2, 3)); return 0; } catch (error) { return String(error.message ?? error); } })(),
  };
};
