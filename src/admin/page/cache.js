// What is kept for equal requests: how often that served, how much there is, and the server that processes share.

import { byId, count, el, mark, put } from './dom.js';
import { money, share } from './figures.js';
import { call } from './wire.js';

const UNITS = ['B', 'KiB', 'MiB', 'GiB'];

/** Bytes as people read them. */
function size(bytes) {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

export class Cache {
  constructor() {
    this.facts = new Map();
  }

  async poll() {
    try {
      this.show(await call('GET', '/admin/v1/cache'));
    } catch {
      // The state tells whether anybody answers.
    }
  }

  show({ store, memory, server, lookups }) {
    byId('cache').hidden = store === 'none';
    if (store === 'none') return;
    if (lookups) this.lookups(lookups);
    this.put('In memory', `${count(memory.entries)}, ${size(memory.bytes)} of ${size(memory.max_bytes)}`);
    byId('cache-server').hidden = server === null;
    if (server === null) return;
    mark(byId('cache-server'), 'data-state', server.up ? 'usable' : 'down');
    put(byId('cache-server'), `${server.address}${server.encrypted ? ', encrypted' : ''}`);
    put(byId('cache-note'), server.up ? '' : `away: ${server.trouble ?? 'not there yet'}`);
    this.put('Found in the server', `${count(server.found)} of ${count(server.found + server.missed)}`);
    this.put('Without an answer', count(server.unanswered));
    this.put('Broken', count(server.broken + server.foreign));
    this.put('Written', count(server.written));
    this.put('Not written', count(server.unwritten));
  }

  lookups({ hit, stale, coalesced, miss, bypass, saved_tokens, saved_cost }) {
    const served = hit + stale + coalesced;
    const all = served + miss;
    this.put('Served', all > 0 ? `${count(served)} of ${count(all)}, ${share(served / all)}` : '–');
    this.put('Hits', count(hit));
    if (stale > 0) this.put('Stale', count(stale));
    this.put('Joined', count(coalesced));
    this.put('Not looked up', count(bypass));
    this.put('Tokens saved', count(saved_tokens));
    this.put('Money saved', money(saved_cost));
  }

  put(name, text) {
    if (!this.facts.has(name)) {
      const value = el('dd', {});
      this.facts.set(name, value);
      byId('cache-facts').append(el('div', {}, el('dt', { text: name }), value));
    }
    put(this.facts.get(name), text);
  }
}
