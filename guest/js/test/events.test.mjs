// `node:events` in the layer, compared with Node itself.

import test from 'node:test';
import { same } from './compare.mjs';

test('emitters', async () => {
  await same(`
    const EventEmitter = require('events');
    const t = (f) => { try { return f() } catch (e) { return show(e) } };
    const log = [];
    const e = new EventEmitter();
    const named = function named(...args) { log.push(['named', this === e, args]); };
    e.on('newListener', (name, f) => log.push(['new', String(name), f.name]));
    e.on('removeListener', (name, f) => log.push(['removed', String(name), f.name]));
    e.on('a', named).once('a', named).prependListener('a', () => log.push('first'));
    e.prependOnceListener('a', () => log.push('very first'));
    log.push(e.listenerCount('a'), e.listenerCount('a', named), e.emit('a', 1, 2), e.emit('a'), e.emit('none'));
    log.push(e.rawListeners('a').length, e.listeners('a').map((f) => f.name), e.eventNames().map(String));
    e.off('a', named).off('a', () => {}).removeAllListeners('a');
    const s = Symbol('s');
    e.on(s, () => {});
    log.push(e.eventNames().map(String), e._eventsCount);
    e.removeAllListeners();
    log.push(e.eventNames(), e._eventsCount, Object.keys(e), e.getMaxListeners());
    for (const bad of [undefined, 5, {}, 'x']) log.push(t(() => e.on('x', bad)), t(() => e.off('x', bad)));
    for (const bad of [undefined, 5, 'x', null, { a: 1 }, new RangeError('r')]) log.push(t(() => e.emit('error', bad)));
    for (const bad of [-1, 'x', NaN]) log.push(t(() => e.setMaxListeners(bad)));
    log.push(e.setMaxListeners(3).getMaxListeners(), EventEmitter.defaultMaxListeners, EventEmitter.getMaxListeners(e));
    e.on(EventEmitter.errorMonitor, (x) => log.push(['monitor', x.message]));
    log.push(t(() => e.emit('error', new Error('m'))));
    e.on('error', () => {});
    log.push(e.emit('error', new Error('n')), EventEmitter.listenerCount(e, 'error'));
    return log;`);
});

test('emitters of old, and in classes', async () => {
  await same(`
    const { EventEmitter } = require('events');
    const log = [];
    function Old() { EventEmitter.call(this); }
    require('util').inherits(Old, EventEmitter);
    const old = new Old();
    old.once('x', (v) => log.push(v)); old.emit('x', 1); old.emit('x', 2);
    class New extends EventEmitter {}
    const a = new New(), b = new New();
    a.on('x', () => log.push('a')); b.emit('x'); a.emit('x');
    const bare = Object.create(EventEmitter.prototype);
    bare.on('q', () => log.push('bare')); bare.emit('q');
    const mixed = Object.assign({}, EventEmitter.prototype);
    mixed.on('q', () => log.push('mixed')); mixed.emit('q');
    const removing = new EventEmitter();
    removing.on('x', function f() { log.push('f'); removing.off('x', f); removing.on('x', () => log.push('late')); });
    removing.on('x', () => log.push('g'));
    removing.emit('x'); removing.emit('x');
    log.push(old instanceof EventEmitter, a instanceof EventEmitter, EventEmitter.EventEmitter === EventEmitter);
    return log;`);
});

test('once, on, captureRejections', async () => {
  await same(`
    const events = require('events');
    const { once, on, EventEmitter } = events;
    const log = [];
    const e = new EventEmitter();
    setTimeout(() => e.emit('a', 1, 2), 1);
    log.push(await once(e, 'a'));
    setTimeout(() => e.emit('error', new Error('bad')), 1);
    log.push(await once(e, 'a').catch(show), e.listenerCount('a'), e.listenerCount('error'));
    log.push(await once(e, 'a', { signal: AbortSignal.abort() }).catch(show));
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 1);
    log.push(await once(e, 'a', { signal: controller.signal }).catch(show));
    const target = new EventTarget();
    setTimeout(() => target.dispatchEvent(new Event('t')), 1);
    log.push((await once(target, 't'))[0].type);
    setTimeout(() => { e.emit('i', 1); e.emit('i', 2); e.emit('end'); }, 1);
    for await (const args of on(e, 'i', { close: ['end'] })) log.push(args);
    setTimeout(() => { e.emit('i', 3); e.emit('error', new Error('stop')); }, 1);
    try { for await (const args of on(e, 'i')) log.push(args); } catch (error) { log.push(show(error)); }
    const c = new EventEmitter({ captureRejections: true });
    c.on('x', async () => { throw new Error('rejected'); });
    c.emit('x');
    log.push(show((await once(c, 'error'))[0] ?? {}));
    const d = new EventEmitter({ captureRejections: true });
    d.on('x', async () => { throw new Error('again'); });
    await new Promise((done) => { d[Symbol.for('nodejs.rejection')] = (error, name, ...args) => { log.push([error.message, name, args]); done(); }; d.emit('x', 7); });
    log.push(events.getEventListeners(e, 'a').length, events.captureRejections, events.usingDomains);
    log.push(Object.keys(events).sort());
    return log;`);
});
