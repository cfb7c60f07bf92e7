const sha = require('sha.js');

module.exports = () => {
  const result = {};
  for (const name of ['sha1', 'sha224', 'sha256', 'sha384', 'sha512']) {
    result[name] = sha(name).update('abc').update(Buffer.from('é')).digest('hex');
  }
  const stream = sha('sha256');
  stream.end('streamed');
  result.streamed = stream.read().toString('base64');
  return result;
};
