// Where the one invocation of this sandbox stands.
//
// Every invocation runs in its own copy of the snapshot's memory, and each page that it writes to
// costs time. So all that every invocation writes lies together in one object, beside what else is
// written (guest/src/hot.rs), and the shortest way from request to answer (`invoke`, `res.json`,
// `sendWhole`) touches as little else as it can.

import { native } from './native.js';

/** The state of the invocation; the snapshot holds it as it is at the beginning. */
export const state = {
  /** What the deployment is for: `request`, `event` or `workspace`. */
  kind: 'request',
  // What the host tells about the request.
  method: undefined,
  target: undefined,
  fields: undefined,
  peer: undefined,
  bodyLength: 0,
  isSecure: false,
  /** The content type is that of JSON, and there is no content coding. */
  isJson: false,

  /** An answer has begun; a second one is an error. */
  answerBegun: false,
  /** The answer is complete as far as this side is concerned. */
  answerEnded: false,
  /** The handler has returned, and its promise, if there is one, is fulfilled. */
  handlerReturned: false,
  /** What holds the end of the invocation back: see `hold`. */
  waits: 0,
  /** The host was told that work is promised: see `waitUntil`. */
  promised: false,
  /** The host was told that the invocation is over. */
  over: false,
  /** Breaks a streamed answer off. */
  abortAnswer: null,

  /** The status that `res` will answer with. */
  statusCode: 200,
  /** Whether `res` was given any header. */
  hasFields: false,

  /** What `req.body` is; see `bodyStage`. */
  body: undefined,
  /** 0: there is none; 1: the content is JSON, and nobody asked for it; 2: it is `body`. */
  bodyStage: 0,

  /** The handler `(req, res)`; null while it is not loaded, or of the other kind. */
  expressHandler: null,
  /** The handler in the web's style, `{call, target}`, or null. */
  webHandler: null,
  /** Of kinds other than `request`: from target and input to the result (job.js); or null. */
  job: null,
};
native.makeHot(state);
