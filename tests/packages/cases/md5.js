const md5 = require('md5');

module.exports = () => [md5('message'), md5('é ☃'), md5(Buffer.from([1, 2, 3])), md5('latin é', { encoding: 'binary' }),
  Buffer.from(md5('bytes', { asBytes: true })).toString('hex')];
