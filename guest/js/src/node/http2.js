// `node:http2`: its constants. Connections are the host's business, behind `fetch`.

import { constants } from './http2-constants.js';
import { allUnsupported, unsupported } from './unsupported.js';

const names = ['createServer', 'createSecureServer', 'performServerHandshake'];
names.push('Http2ServerRequest', 'Http2ServerResponse', 'getPackedSettings', 'getUnpackedSettings');

export default {
  constants,
  sensitiveHeaders: Symbol('nodejs.http2.sensitiveHeaders'),
  getDefaultSettings: () => ({
    headerTableSize: 4096,
    enablePush: true,
    initialWindowSize: 65535,
    maxFrameSize: 16384,
    maxConcurrentStreams: 4294967295,
    maxHeaderListSize: 65535,
    maxHeaderSize: 65535,
    enableConnectProtocol: false,
  }),
  connect: unsupported('http2', 'connect', 'a function has no sockets; use fetch()'),
  ...allUnsupported('http2', names, 'a function cannot listen'),
};
