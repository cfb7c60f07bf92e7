// `node:tls`: loads, and refuses. TLS to other servers is the host's business, behind `fetch`.

import { allUnsupported, unsupported } from './unsupported.js';

const WHY = 'a function has no sockets; fetch() speaks TLS by itself';

export default {
  CLIENT_RENEG_LIMIT: 3,
  CLIENT_RENEG_WINDOW: 600,
  DEFAULT_CIPHERS: '',
  DEFAULT_ECDH_CURVE: 'auto',
  DEFAULT_MIN_VERSION: 'TLSv1.2',
  DEFAULT_MAX_VERSION: 'TLSv1.3',
  rootCertificates: [],
  getCiphers: () => [],
  ...allUnsupported(
    'tls',
    ['checkServerIdentity', 'connect', 'createSecureContext', 'createSecurePair', 'SecureContext'],
    WHY,
  ),
  TLSSocket: unsupported('tls', 'TLSSocket', WHY),
  Server: unsupported('tls', 'Server', 'a function cannot listen'),
  createServer: unsupported('tls', 'createServer', 'a function cannot listen'),
};
