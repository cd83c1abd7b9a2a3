// Who else is there with the same keys, how the store that they share is, and what they know.

import { byId, count, el, mark, put } from './dom.js';
import { call } from './wire.js';

/** Facts that are shown. */
const MOST = 50;

export class Fleet {
  constructor() {
    this.facts = new Map();
  }

  async poll() {
    try {
      this.show(await call('GET', '/admin/v1/fleet'));
    } catch {
      // The state tells whether anybody answers.
    }
  }

  show({ fleet }) {
    byId('fleet').hidden = fleet === null;
    if (fleet === null) return;
    mark(byId('fleet-server'), 'data-state', fleet.up ? 'usable' : 'down');
    put(byId('fleet-server'), fleet.server);
    const trouble = fleet.up ? (fleet.without_scripts ? 'runs no scripts' : '') : `away: ${fleet.trouble ?? 'not there yet'}`;
    put(byId('fleet-note'), trouble);
    this.put('Name', fleet.name);
    this.put('Processes', fleet.nodes.map((node) => (node.self ? `${node.name} (this one)` : node.name)).join(', ') || '–');
    this.put('Lag', fleet.lag_seconds === null ? '–' : `${Math.round(fleet.lag_seconds * 1000)} ms`);
    this.put('Told', count(fleet.sent));
    this.put('Heard', count(fleet.heard));
    this.put('Not told yet', count(fleet.unsent));
    this.put('Ignored', count(fleet.ignored));
    const rows = fleet.facts.filter((fact) => fact.seconds_left !== null).slice(0, MOST);
    const texts = [
      ...fleet.limits.slice(0, MOST).map((limit) => this.share(limit)),
      ...fleet.budgets.slice(0, MOST).map((budget) => this.claim(budget)),
      ...rows.map((fact) => this.text(fact)),
    ];
    byId('fleet-shared').replaceChildren(...texts.map((text) => el('li', { text })));
  }

  share({ names, limit, whole, share, used, processes }) {
    return `${names.join(', ')} ${limit}: ${count(share)} of ${count(whole)} here, ${count(used)} used, ${processes} share it`;
  }

  claim({ of, name, every, amount, claimed, spent, spent_by_all }) {
    const all = spent_by_all === null ? '' : `, ${spent_by_all} spent by all`;
    const part = amount === null ? '' : `, ${claimed} of ${amount} claimed`;
    return `budget of ${name || of} per ${every}: ${spent} spent here${part}${all}`;
  }

  text({ key, provider, model, kind, seconds_left, node }) {
    return `${key ?? provider ?? 'not here'} ${model ?? '*'}: ${kind} for ${Math.round(seconds_left)} s, says ${node}`;
  }

  put(name, text) {
    if (!this.facts.has(name)) {
      const value = el('dd', {});
      this.facts.set(name, value);
      byId('fleet-facts').append(el('div', {}, el('dt', { text: name }), value));
    }
    put(this.facts.get(name), text);
  }
}
