const { gzipSync, gunzipSync, zlibSync, unzlibSync, zipSync, unzipSync, strToU8, strFromU8, Gzip } = require('fflate');

module.exports = () => {
  const text = strToU8('some text to pack, é, '.repeat(40));
  const chunks = [];
  const stream = new Gzip((chunk) => chunks.push(chunk));
  stream.push(text.subarray(0, 100));
  stream.push(text.subarray(100), true);
  const zipped = zipSync({ 'a.txt': text, folder: { 'b.txt': [strToU8('b'), { level: 0 }] } }, { mtime: new Date(2020, 1, 1) });
  return {
    zlib: Buffer.from(zlibSync(text, { level: 9 })).toString('hex'), back: strFromU8(unzlibSync(zlibSync(text))) === strFromU8(text),
    gzip: strFromU8(gunzipSync(gzipSync(text, { mtime: 0 }))).length, names: Object.keys(unzipSync(zipped)), zip: zipped.length,
    streamed: strFromU8(gunzipSync(Buffer.concat(chunks))) === strFromU8(text), filtered: Object.keys(unzipSync(zipped, { filter: ({ size }) => size < 5 })),
  };
};
