const JSZip = require('jszip');

module.exports = async () => {
  const zip = new JSZip();
  zip.file('a.txt', 'content é', { date: new Date(0) });
  zip.folder('sub').file('b.json', JSON.stringify({ n: 1 }), { date: new Date(0) });
  zip.file('bytes', new Uint8Array([1, 2, 3]), { date: new Date(0) });
  zip.remove('nothing');
  const packed = await zip.generateAsync({ type: 'uint8array', compression: 'DEFLATE' });
  const opened = await JSZip.loadAsync(packed);
  return {
    names: Object.keys(opened.files).sort(), text: await opened.file('a.txt').async('string'), json: JSON.parse(await opened.file('sub/b.json').async('string')),
    bytes: [...await opened.file('bytes').async('uint8array')], base64: (await zip.generateAsync({ type: 'base64' })).slice(0, 8),
    buffer: Buffer.isBuffer(await zip.generateAsync({ type: 'nodebuffer' })), found: opened.file(/\.json$/).map(({ name }) => name),
    failed: await JSZip.loadAsync('not a zip').catch((error) => error.message.slice(0, 30)),
  };
};
