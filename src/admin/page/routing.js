// What policies rank by now: prices and figures of upstreams, and how each target would rank its members.

import { arrange, byId, count, el, mark, millis, put } from './dom.js';
import { members, share } from './figures.js';
import { call } from './wire.js';

/** The columns behind the name: how each is read from an upstream. */
const COLUMNS = [
  (it) => it.price?.input ?? '–',
  (it) => it.price?.output ?? '–',
  (it) => it.price?.cached_input ?? '–',
  (it) => (it.price ? `${it.price.source}${it.price.more ? ', more rates' : ''}` : 'unknown'),
  (it) => count(it.expected_output_tokens),
  (it) => count(it.pending),
  (it) => millis(it.stream_ms),
  (it) => millis(it.whole_ms),
  (it) => millis(it.per_token_ms),
  (it) => share(it.used_share),
];
/** This one is a text, the others are numbers. */
const SOURCE = 3;

export class Routing {
  constructor() {
    this.body = byId('figures');
    this.rows = new Map();
    this.targets = new Map();
    this.filter = byId('routing-filter');
    this.filter.addEventListener('input', () => this.sift());
  }

  async poll() {
    let answer;
    try {
      answer = await call('GET', '/admin/v1/routing');
    } catch (error) {
      put(byId('routing-note'), error.status === 0 ? '' : error.message);
      return;
    }
    const began = performance.now();
    this.many = answer.upstreams.length;
    this.more = answer.more_upstreams;
    this.showUpstreams(answer.upstreams);
    this.showTargets(answer);
    performance.measure('routing', { start: began });
  }

  showUpstreams(upstreams) {
    const seen = new Set();
    const nodes = upstreams.map((it) => {
      seen.add(it.upstream);
      if (!this.rows.has(it.upstream)) this.rows.set(it.upstream, new Row(it.upstream));
      const row = this.rows.get(it.upstream);
      row.update(it);
      return row.box;
    });
    for (const name of this.rows.keys()) if (!seen.has(name)) this.rows.delete(name);
    arrange(this.body, nodes);
    this.sift();
  }

  /** Shows only what contains the text. */
  sift() {
    const wanted = this.filter.value.trim().toLowerCase();
    let shown = 0;
    for (const [name, { box }] of this.rows) {
      const hidden = wanted !== '' && !name.toLowerCase().includes(wanted);
      if (box.hidden !== hidden) box.hidden = hidden;
      if (!hidden) shown += 1;
    }
    const all = this.more > 0 ? `the first ${count(this.rows.size)} of ${count(this.rows.size + this.more)}` : '';
    put(byId('routing-note'), wanted === '' ? all : `${count(shown)} of ${count(this.rows.size)}`);
    byId('figures-empty').hidden = shown > 0;
  }

  showTargets({ targets, more_targets: more, prompt_tokens: tokens }) {
    const seen = new Set();
    const nodes = targets.map((target) => {
      seen.add(target.name);
      if (!this.targets.has(target.name)) this.targets.set(target.name, new Target(target.name));
      const box = this.targets.get(target.name);
      box.update(target);
      return box.box;
    });
    for (const name of this.targets.keys()) if (!seen.has(name)) this.targets.delete(name);
    arrange(byId('rankings'), nodes);
    put(
      byId('rankings-note'),
      nodes.length === 0
        ? 'No target is ranked for each request: all go by their written order.'
        : `For a request of ${count(tokens)} tokens that came now.${more > 0 ? ` ${count(more)} more targets are not shown.` : ''}`,
    );
  }
}

class Row {
  constructor(name) {
    this.cells = COLUMNS.map((_, at) => el('td', { class: at === SOURCE ? '' : 'num' }));
    this.box = el('tr', {}, el('th', { scope: 'row', text: name }), ...this.cells);
  }

  update(it) {
    const signature = JSON.stringify(it);
    if (signature === this.shown) return;
    this.shown = signature;
    COLUMNS.forEach((read, at) => put(this.cells[at], read(it)));
    mark(this.box, 'data-near', it.used_share !== null && it.used_share >= 0.8 ? '' : null);
  }
}

class Target {
  constructor(name) {
    this.about = el('span', { class: 'soft' });
    this.list = el('div', {});
    this.box = el('div', { class: 'route' }, el('div', { class: 'route-head' }, el('h3', { text: name }), this.about), this.list);
  }

  update(target) {
    const signature = JSON.stringify(target);
    if (signature === this.shown) return;
    this.shown = signature;
    const { affinity } = target;
    const words = [target.policy, affinity && `conversations by ${affinity.by}, bound ${affinity.bound}`];
    put(this.about, words.filter(Boolean).join(' · '));
    const more = target.more_members > 0 ? el('p', { class: 'soft', text: `and ${count(target.more_members)} more` }) : null;
    this.list.replaceChildren(members(target.members), ...[more].filter(Boolean));
  }
}
