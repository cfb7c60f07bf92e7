// What a function's own code is refused (`child_process` and its like), as packages get it: they
// ask for these modules at their top to find out where they are, and need an answer, not a failure.
// Nothing here does anything; what would have to throws.

import events from 'events';
import { MessageChannel, MessagePort } from '../message-channel.js';
import { allUnsupported, unsupported } from './unsupported.js';

const NO_PROCESSES = 'a function has no other processes';
const NO_THREADS = 'a function has one thread';
const NO_SOCKETS = 'a function has no sockets';
const NO_INSIDES = 'a function does not see its engine';

/** `node:child_process`. */
export const childProcess = () =>
  allUnsupported(
    'child_process',
    ['ChildProcess', 'exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'],
    NO_PROCESSES,
  );

/** `node:cluster`. */
export const cluster = () =>
  Object.assign(new events.EventEmitter(), {
    isMaster: true,
    isPrimary: true,
    isWorker: false,
    workers: {},
    settings: {},
    SCHED_NONE: 1,
    SCHED_RR: 2,
    schedulingPolicy: 2,
    ...allUnsupported(
      'cluster',
      ['Worker', 'disconnect', 'fork', 'setupMaster', 'setupPrimary'],
      NO_PROCESSES,
    ),
  });

/** `node:dgram`. */
export const dgram = () => allUnsupported('dgram', ['Socket', 'createSocket'], NO_SOCKETS);

/** `node:v8`. */
export const v8 = () => ({
  cachedDataVersionTag: () => 0,
  getHeapSpaceStatistics: () => [],
  setFlagsFromString() {},
  startupSnapshot: { isBuildingSnapshot: () => false },
  ...allUnsupported(
    'v8',
    [
      'Deserializer',
      'Serializer',
      'deserialize',
      'getHeapSnapshot',
      'getHeapStatistics',
      'serialize',
      'writeHeapSnapshot',
    ],
    NO_INSIDES,
  ),
});

/** `node:worker_threads`. */
export const workerThreads = () => ({
  isMainThread: true,
  parentPort: null,
  resourceLimits: {},
  threadId: 0,
  workerData: null,
  SHARE_ENV: Symbol.for('nodejs.worker_threads.SHARE_ENV'),
  MessageChannel,
  MessagePort,
  getEnvironmentData: () => undefined,
  isMarkedAsUntransferable: () => false,
  markAsUncloneable() {},
  markAsUntransferable() {},
  setEnvironmentData() {},
  BroadcastChannel: unsupported('worker_threads', 'BroadcastChannel', NO_THREADS),
  Worker: unsupported('worker_threads', 'Worker', NO_THREADS),
  moveMessagePortToContext: unsupported('worker_threads', 'moveMessagePortToContext', NO_THREADS),
  receiveMessageOnPort: unsupported('worker_threads', 'receiveMessageOnPort', NO_THREADS),
});
