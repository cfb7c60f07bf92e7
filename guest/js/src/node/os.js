// `node:os`: a small Linux machine that is the same everywhere, and tells nothing of the real one.

import { process } from '../process.js';
import { TextEncoder } from '../encoding.js';
import * as constants from './os-constants.js';
import { systemError } from './system-errors.js';
import { invalidArgType, validateInteger } from './validate.js';

const MEMORY = 256 * 1024 * 1024;
const HOME = '/app';

const cpu = () => ({
  model: 'wasm32',
  speed: 0,
  times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 },
});

function userInfo(options) {
  const text = { uid: 1000, gid: 1000, username: 'ampoule', homedir: HOME, shell: null };
  if (options?.encoding !== 'buffer') return text;
  const bytes = (value) => new TextEncoder().encode(value);
  return { ...text, username: bytes(text.username), homedir: bytes(HOME) };
}

function getPriority(pid = 0) {
  validateInteger(pid, 'pid', -2147483648, 2147483647);
  return 0;
}

function setPriority(pid, priority) {
  if (priority === undefined) [pid, priority] = [0, pid];
  if (typeof priority !== 'number') throw invalidArgType('priority', 'number', priority);
  throw systemError('EACCES', 'uv_os_setpriority');
}

const os = {
  arch: () => process.arch,
  availableParallelism: () => 1,
  cpus: () => [cpu()],
  endianness: () => 'LE',
  freemem: () => MEMORY,
  getPriority,
  homedir: () => HOME,
  hostname: () => 'ampoule',
  loadavg: () => [0, 0, 0],
  networkInterfaces: () => ({}),
  platform: () => process.platform,
  release: () => '6.1.0',
  setPriority,
  tmpdir: () => '/tmp',
  totalmem: () => MEMORY,
  type: () => 'Linux',
  userInfo,
  uptime: () => process.uptime(),
  version: () => '#1 SMP',
  machine: () => process.arch,
  constants: {
    UV_UDP_REUSEADDR: constants.UV_UDP_REUSEADDR,
    dlopen: constants.dlopen,
    errno: constants.errno,
    signals: constants.signals,
    priority: constants.priority,
  },
  EOL: '\n',
  devNull: '/dev/null',
};

// As in Node: `${os.tmpdir}` is what `os.tmpdir()` answers.
for (const name of ['arch', 'endianness', 'homedir', 'hostname', 'platform', 'release', 'tmpdir']) {
  const get = os[name];
  Object.defineProperty(get, Symbol.toPrimitive, { value: () => get() });
}

export default os;
