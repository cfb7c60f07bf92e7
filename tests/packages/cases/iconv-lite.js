const iconv = require('iconv-lite');

module.exports = () => {
  const hex = (text, encoding) => iconv.encode(text, encoding).toString('hex');
  return {
    encoded: [['é€', 'win1252'], ['日本語', 'shift_jis'], ['日本', 'euc-jp'], ['中文', 'gbk'], ['привет', 'koi8-r'], ['a', 'utf16'], ['é', 'latin1'], ['한글', 'euc-kr'], ['中', 'big5']].map(([text, encoding]) => hex(text, encoding)),
    decoded: [iconv.decode(Buffer.from('93fa967b8cea', 'hex'), 'Shift_JIS'), iconv.decode(Buffer.from('efbbbf61', 'hex'), 'utf8'), iconv.decode(Buffer.from([0xcf, 0xf0]), 'cp1251')],
    exists: [iconv.encodingExists('us-ascii'), iconv.encodingExists('nope')],
    parts: (() => { const decoder = iconv.getDecoder('utf8'); return decoder.write(Buffer.from([0xe2, 0x98])) + decoder.write(Buffer.from([0x83])) + (decoder.end() ?? ''); })(),
  };
};
