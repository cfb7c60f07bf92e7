const sha = require('sha.js');

module.exports = () => {
  const result = {};
  for (const name of ['sha1', 'sha224', 'sha256', 'sha384', 'sha512']) {
    result[name] = sha(name).update('abc').update(Buffer.from('é')).digest('hex');
  }
  result.base64 = new sha.sha256().update('616263', 'hex').digest('base64');
  return result;
};
