const { Buffer: SafeBuffer } = require('safe-buffer');

module.exports = () => ({
  same: SafeBuffer === Buffer || SafeBuffer.from('x') instanceof Buffer, bytes: SafeBuffer.from('é', 'utf8').toString('hex'),
  filled: SafeBuffer.alloc(4, 'ab').toString(), failed: (() => { try { SafeBuffer.from(5); return 0; } catch (error) { return error.name; } })(),
  joined: SafeBuffer.concat([SafeBuffer.from([1]), SafeBuffer.from('02', 'hex')]).toJSON(),
});
