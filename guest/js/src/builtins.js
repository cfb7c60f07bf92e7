// The modules that `require` and `import` find without a file, and those that do not exist.

import events from 'events';
import punycode from 'punycode/punycode.es6.js';
import {
  ObjectCreate,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  append,
} from './primordials.js';
import { assert, strict } from './assert.js';
import { restoreName } from './names.js';
import buffer from './node/buffer.js';
import console from './node/console.js';
import constants from './node/constants.js';
import dns, { promises as dnsPromises } from './node/dns.js';
import fs from './node/fs.js';
import fsPromises from './node/fs-promises.js';
import http2 from './node/http2.js';
import * as inert from './node/inert.js';
import { moduleExports } from './node/module.js';
import net from './node/net.js';
import os from './node/os.js';
import path from './node/path.js';
import perfHooks from './node/perf-hooks.js';
import process from './node/process.js';
import querystring from './node/querystring.js';
import { domain, inspector, repl, traceEvents, wasi } from './node/stubs.js';
import timersPromises from './node/timers-promises.js';
import tls from './node/tls.js';
import tty from './node/tty.js';
import url from './node/url.js';
import vm from './node/vm.js';
import crypto from './node/crypto.js';
import webcrypto from './node/crypto/subtle.js';
import { codedError } from './errors.js';
import * as streams from './streams.js';
import * as timers from './timers.js';
import urlParser from './node/url-parser.js';
import urlPattern from './node/url-pattern.js';
import { types, util } from './util.js';
import asyncHooks from './node/async-hooks.js';
import * as compressionStreams from './node/compression-streams.js';
import diagnosticsChannel from './node/diagnostics-channel.js';
import readline from './node/readline.js';
import express from './node/express.js';
import http from './node/http.js';
import https from './node/https.js';
import mimeTypes from './node/mime-types.js';
import nodeFetch from './node/node-fetch.js';
import { Router } from './node/router.js';
import stream from './node/stream.js';
import streamConsumers from './node/stream-consumers.js';
import stringDecoder from './node/string-decoder.js';
import zlib from './node/zlib.js';
import websocket from './websocket.js';
import ws from './node/ws.js';

/** Makers by name without `node:`; each is called once, when the module is first asked for. */
const makers = ObjectCreate(null);
const made = ObjectCreate(null);

/** Adds a builtin module. */
export function define(name, make) {
  makers[name] = make;
}

/** The names of all builtin modules. */
export function builtinNames() {
  const names = [];
  const all = ObjectKeys(makers);
  for (let i = 0; i < all.length; i++) if (!isInternal(all[i])) append(names, all[i]);
  return names;
}

/** Modules that only the platform asks for, and those that only packages get. */
function isInternal(name) {
  return StringPrototypeStartsWith(name, 'internal/');
}

/** Whether a name, with `node:` or without, is that of a builtin module. */
export function isBuiltin(name) {
  const bare = StringPrototypeStartsWith(name, 'node:') ? StringPrototypeSlice(name, 5) : name;
  return makers[bare] !== undefined && !isInternal(bare);
}

/** The exports of a builtin module. */
export function builtin(name) {
  if (made[name] !== undefined) return made[name];
  const make = makers[name];
  if (make === undefined) throw notAvailable(name);
  const exports = make();
  made[name] = exports;
  for (const key of ObjectKeys(exports)) {
    const { value } = ObjectGetOwnPropertyDescriptor(exports, key);
    restoreName(value, key);
  }
  return exports;
}

/** What stands before the name of a builtin that this deployment's own code may not load. */
const REFUSED = 'internal/refused/';

// `child_process`, `cluster`, `dgram`, `v8`, `worker_threads` and whatever else is not below.
function notAvailable(name) {
  if (StringPrototypeStartsWith(name, REFUSED)) {
    const refused = StringPrototypeSlice(name, REFUSED.length);
    return codedError(
      'MODULE_NOT_FOUND',
      `Cannot find module '${refused}': it is not among those that workspaces may load here ` +
        '(NODE_BUILTIN_MODULES)',
    );
  }
  return codedError(
    'MODULE_NOT_FOUND',
    `Cannot find module '${name}': this built-in module is not available in Ampoule`,
  );
}

define('assert', () => assert);
define('assert/strict', () => strict);
define('async_hooks', () => asyncHooks);
define('buffer', () => buffer);
define('crypto', () => crypto);
define('internal/webcrypto', () => webcrypto);
define('console', () => console);
define('constants', () => constants);
define('dns', () => dns);
define('dns/promises', () => dnsPromises);
define('diagnostics_channel', () => diagnosticsChannel);
define('domain', () => domain);
define('events', () => events);
define('internal/express', () => express);
define('internal/router', () => Router);
define('http', () => http);
define('internal/inert/child_process', inert.childProcess);
define('internal/inert/cluster', inert.cluster);
define('internal/inert/dgram', inert.dgram);
define('internal/inert/v8', inert.v8);
define('internal/inert/worker_threads', inert.workerThreads);
define('https', () => https);
define('mime-types', () => mimeTypes);
define('node-fetch', () => nodeFetch);
define('fs', () => fs);
define('fs/promises', () => fsPromises);
define('perf_hooks', () => perfHooks);
define('http2', () => http2);
define('inspector', () => inspector);
define('inspector/promises', () => inspector);
define('module', moduleExports);
define('net', () => net);
define('os', () => os);
define('readline', () => readline);
define('readline/promises', () => readline.promises);
define('repl', () => repl);
define('tls', () => tls);
define('trace_events', () => traceEvents);
define('tty', () => tty);
define('vm', () => vm);
define('wasi', () => wasi);
define('stream', () => stream);
define('stream/consumers', () => streamConsumers);
define('stream/promises', () => stream.promises);
define('internal/compression-streams', () => compressionStreams);
define('stream/web', () => ({
  ...streams,
  TextDecoderStream: globalThis.TextDecoderStream,
  TextEncoderStream: globalThis.TextEncoderStream,
  CompressionStream: compressionStreams.CompressionStream,
  DecompressionStream: compressionStreams.DecompressionStream,
}));
define('internal/url-parser', () => urlParser);
define('internal/url-pattern', () => urlPattern);
define('url', () => url);
define('path', () => path);
define('path/posix', () => path.posix);
define('path/win32', () => path.win32);
define('process', () => process);
define('punycode', () => punycode);
define('querystring', () => querystring);
define('string_decoder', () => stringDecoder);
define('timers', () => ({ ...timers, promises: builtin('timers/promises') }));
define('timers/promises', () => timersPromises);
define('util', () => util);
define('util/types', () => types);
define('sys', () => util);
define('zlib', () => zlib);
define('internal/websocket', () => websocket);
define('ws', () => ws);
