// The chains of the virtual providers, and where the last minute's attempts went.

import { arrange, el, mark, put } from './dom.js';
import { condition } from './tree.js';

/** Of targets that are no chain only so many are shown. */
const OTHERS = 12;

export class Chains {
  constructor(box) {
    this.box = box;
    this.state = null;
    this.flows = [];
    this.rows = new Map();
  }

  showState(state) {
    this.state = state;
    this.show();
  }

  showFlows(flows) {
    this.flows = flows;
    this.show();
  }

  show() {
    if (!this.state) return;
    const health = healthOf(this.state);
    const chains = this.state.virtual.map((it) => ({ ...it, virtual: true }));
    const named = new Set(chains.map((it) => it.name));
    const standard = this.state.default?.name;
    const others = [];
    for (const { target, upstream } of this.flows) {
      if (named.has(target)) continue;
      const known = others.find((it) => it.name === target);
      if (known) known.upstreams.push(upstream);
      else if (others.length < OTHERS) others.push({ name: target, upstreams: [upstream], virtual: false });
    }
    const seen = new Set();
    const nodes = [...chains, ...others].map((chain) => {
      seen.add(chain.name);
      let row = this.rows.get(chain.name);
      if (!row) {
        row = new Row(chain.name);
        this.rows.set(chain.name, row);
      }
      row.update(chain, this.flows.filter((it) => it.target === chain.name), health, chain.name === standard);
      return row.box;
    });
    for (const name of this.rows.keys()) if (!seen.has(name)) this.rows.delete(name);
    if (nodes.length === 0) nodes.push(el('p', { class: 'empty', text: 'No chain is configured, and nothing was sent in the last minute.' }));
    arrange(this.box, nodes);
  }
}

class Row {
  constructor(name) {
    this.name = el('h3', { text: name });
    this.sum = el('span', { class: 'soft' });
    this.list = el('ol', { class: 'chain' });
    this.box = el('div', { class: 'route' }, el('div', { class: 'route-head' }, this.name, this.sum), this.list);
    this.lines = new Map();
  }

  update(chain, flows, health, standard) {
    const total = flows.reduce((sum, it) => sum + it.attempts, 0);
    const kind = chain.virtual ? (standard ? 'default' : '') : 'direct';
    put(this.sum, [kind, total === 0 ? 'quiet' : `${total} ${total === 1 ? 'attempt' : 'attempts'}`].filter(Boolean).join(' · '));
    // What flowed but is no part of the chain any more comes last.
    const upstreams = [...chain.upstreams, ...flows.map((it) => it.upstream).filter((it) => !chain.upstreams.includes(it))];
    const nodes = upstreams.map((upstream) => {
      let line = this.lines.get(upstream);
      if (!line) {
        const parts = { name: el('span', { class: 'mark up' }), why: el('span', { class: 'trouble' }), bar: el('span', { class: 'flow' }), bad: el('span', { class: 'flow bad' }), text: el('span', { class: 'num' }) };
        const track = el('span', { class: 'track', 'aria-hidden': 'true' }, parts.bar, parts.bad);
        line = { ...parts, box: el('li', {}, el('span', { class: 'hop' }, parts.name, parts.why), track, parts.text) };
        put(parts.name, upstream);
        this.lines.set(upstream, line);
      }
      const { attempts, failed } = flows.find((it) => it.upstream === upstream) ?? { attempts: 0, failed: 0 };
      const [state, why] = health.get(upstream) ?? ['usable', ''];
      mark(line.name, 'data-state', state);
      mark(line.name, 'title', upstream);
      put(line.why, why);
      line.bar.style.setProperty('width', `${percent(attempts - failed, total)}%`);
      line.bad.style.setProperty('width', `${percent(failed, total)}%`);
      put(line.text, attempts === 0 ? '' : failed > 0 ? `${attempts}, ${failed} failed` : String(attempts));
      mark(line.box, 'data-quiet', attempts === 0 ? '' : null);
      return line.box;
    });
    for (const name of this.lines.keys()) if (!upstreams.includes(name)) this.lines.delete(name);
    arrange(this.list, nodes);
  }
}

const percent = (part, total) => (total === 0 ? 0 : Math.round((part / total) * 1000) / 10);

/** Of each upstream that has some trouble, what it is. */
function healthOf(state) {
  const health = new Map();
  for (const provider of state.providers) {
    const usable = provider.keys.some((key) => ['usable', 'partly', 'probing'].includes(condition(key, provider).state));
    for (const it of provider.upstreams) {
      let now = null;
      if (provider.life !== 'up') now = ['down', 'provider down'];
      else if (provider.hold) now = ['held', 'held'];
      else if (provider.cooling) now = ['cooling', 'cooling'];
      else if (it.gone_until) now = ['invalid', 'model gone'];
      else if (it.breaker === 'open') now = ['down', 'breaker open'];
      else if (it.breaker === 'half_open') now = ['probing', 'breaker half open'];
      else if (!usable && provider.keys.length > 0) now = ['cooling', 'no key ready'];
      else if (it.share < 1) now = ['partly', `takes ${Math.round(it.share * 100)} %`];
      if (now) health.set(`${provider.name}:${it.model}`, now);
    }
  }
  return health;
}
