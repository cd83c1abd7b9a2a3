// The actors as a map: supervisor, router, providers with their breakers, keys. What has not changed is not touched.

import { arrange, clock, count, countDown, el, mark, put, rove, said, short, span, unit } from './dom.js';

/** Up to so many keys a provider shows each with its load and limits; beyond, one small cell each. */
const ROOMY = 12;
const ROOMY_IN_ALL = 60;
/** So many breakers of a provider are shown; those that are not closed always. */
const BREAKERS = 6;

/** What a key is like, for all models of its provider together: state, word, seconds left (`null`: nobody knows). */
export function condition(key, provider) {
  const of = (state, left = null) => ({ state, word: said(state), left });
  switch (key.state) {
    case 'held':
      return of('held', key.hold?.until?.seconds_left ?? null);
    case 'invalid':
      return of('invalid', key.invalid?.probe?.seconds_left ?? null);
    case 'usable': {
      const cold = key.cooling.filter((it) => it.model !== null);
      if (cold.length === 0) return of('usable');
      const left = Math.min(...cold.map((it) => it.until?.seconds_left ?? Infinity));
      const models = provider.upstreams.map((it) => it.model);
      const all = models.length > 0 && models.every((model) => cold.some((it) => it.model === model));
      return all ? of('cooling', left) : { ...of('partly', left), word: `cools for ${cold.length} of ${models.length} models` };
    }
    case 'cooling':
    case 'quota_exhausted':
    case 'no_token':
      return of(key.state, key.cooling.find((it) => it.model === null)?.until?.seconds_left ?? null);
    case 'down':
      return { ...of('down'), word: said(key.life) };
    default:
      return of(key.state);
  }
}

/** The learned or configured limit that is nearest to its end: `{share, text}`. */
export function tightest(key) {
  let found = null;
  for (const known of key.learned.limits) {
    if (known.limit === null || known.remaining === null || known.limit <= 0) continue;
    const share = Math.max(0, Math.min(1, known.remaining / known.limit));
    if (found === null || share < found.share) {
      found = { share, text: `${count(known.remaining)}/${count(known.limit)} ${unit(known.unit)}` };
    }
  }
  return found;
}

const most = (key) => key.learned.max_in_flight ?? key.limits.max_in_flight;

export class Tree {
  /** `open(kind, name)`: somebody wants to see a key or a provider. */
  constructor(box, open) {
    this.open = open;
    this.supervisor = node('Supervisor');
    this.router = node('Router');
    this.room = el('span', { class: 'room' });
    this.router.box.append(this.room);
    this.list = el('ul', { class: 'providers' });
    this.empty = el('p', { class: 'empty', text: 'No provider is configured.' });
    this.cards = new Map();
    box.append(el('div', { class: 'trunk' }, this.supervisor.box, this.router.box), this.list, this.empty);
    box.addEventListener('click', (event) => {
      const key = event.target.closest('.key');
      const provider = event.target.closest('.provider-name');
      if (key) open('key', key.dataset.id);
      else if (provider) open('provider', provider.dataset.name);
    });
  }

  update(state) {
    live(this.supervisor, state.supervisor);
    live(this.router, state.router);
    const waiting = state.router.waiting;
    put(this.room, waiting === 0 ? 'waiting room empty' : `${waiting} in the waiting room`);
    mark(this.room, 'data-busy', waiting > 0 ? '' : null);
    const total = state.providers.reduce((sum, it) => sum + it.keys.length, 0);
    const seen = new Set();
    const nodes = state.providers.map((provider) => {
      seen.add(provider.name);
      const roomy = provider.keys.length <= ROOMY && total <= ROOMY_IN_ALL;
      let card = this.cards.get(provider.name);
      if (!card || card.roomy !== roomy) {
        card = new Card(provider, roomy);
        this.cards.set(provider.name, card);
      }
      card.update(provider);
      return card.box;
    });
    arrange(this.list, nodes);
    for (const name of this.cards.keys()) if (!seen.has(name)) this.cards.delete(name);
    this.empty.hidden = nodes.length > 0;
  }
}

function node(name) {
  const life = el('span', { class: 'mark' });
  return { box: el('div', { class: 'node' }, el('strong', { text: name }), life), life };
}

function live({ life: box }, actor) {
  const restarts = actor.restarts === 1 ? ', 1 restart' : actor.restarts > 1 ? `, ${actor.restarts} restarts` : '';
  put(box, `${said(actor.life)}${restarts}`);
  mark(box, 'data-state', actor.life === 'up' ? 'usable' : actor.life === 'quarantined' ? 'down' : 'probing');
}

class Card {
  constructor(provider, roomy) {
    this.roomy = roomy;
    this.cells = new Map();
    this.name = el('button', { type: 'button', class: 'provider-name', text: provider.name, data: { name: provider.name } });
    this.condition = el('span', { class: 'mark' });
    this.sum = el('span', { class: 'soft sum' });
    this.breakers = el('ul', { class: 'breakers', 'aria-label': `Breakers of ${provider.name}` });
    this.keys = el('div', { class: roomy ? 'keys roomy' : 'keys dense', role: 'toolbar', 'aria-label': `Keys of ${provider.name}` });
    rove(this.keys, '.key');
    const head = el('div', { class: 'provider-head' }, el('h3', {}, this.name), this.condition, this.breakers, this.sum);
    this.box = el('li', { class: 'provider' }, head, this.keys);
  }

  update(provider) {
    const [state, word, left] = whole(provider);
    mark(this.condition, 'data-state', state);
    countDown(this.condition, left, (seconds) => `${word} ${span(seconds)}`);
    if (left === null) put(this.condition, word);
    this.condition.hidden = state === 'usable';
    mark(this.box, 'data-out', state === 'usable' ? null : '');
    this.showBreakers(provider.upstreams);
    let [out, flying] = [0, 0];
    let moved = this.cells.size !== provider.keys.length;
    const order = provider.keys.map((key) => {
      const now = condition(key, provider);
      if (now.state !== 'usable' && now.state !== 'partly') out += 1;
      flying += key.in_flight;
      let cell = this.cells.get(key.id);
      if (!cell) {
        moved = true;
        cell = new Cell(key, this.roomy);
        this.cells.set(key.id, cell);
      }
      cell.update(key, now);
      return cell.box;
    });
    if (moved) {
      const known = new Set(provider.keys.map((key) => key.id));
      for (const id of this.cells.keys()) if (!known.has(id)) this.cells.delete(id);
      arrange(this.keys, order);
      if (order.length > 0 && !this.keys.querySelector('[tabindex="0"]')) order[0].tabIndex = 0;
    }
    const keys = provider.keys.length;
    const parts = [`${keys} ${keys === 1 ? 'key' : 'keys'}`];
    if (out > 0) parts.push(`${out} out`);
    parts.push(`${flying} in flight`);
    put(this.sum, parts.join(' · '));
  }

  showBreakers(upstreams) {
    const signature = upstreams.map((it) => `${it.model} ${it.breaker} ${it.open_until?.at} ${it.gone_until?.at} ${it.share}`).join('|');
    if (signature === this.shown) return;
    this.shown = signature;
    const trouble = (it) => it.breaker !== 'closed' || it.gone_until !== null || it.share < 1;
    let calm = BREAKERS - upstreams.filter(trouble).length;
    const shown = upstreams.filter((it) => trouble(it) || calm-- > 0);
    const nodes = shown.map((it) => {
      const text = el('span', {});
      const state = it.gone_until ? 'gone' : it.breaker;
      if (it.gone_until) countDown(text, it.gone_until.seconds_left, (left) => `gone, again in ${span(left)}`);
      else if (it.open_until) countDown(text, it.open_until.seconds_left, (left) => `open, probe in ${span(left)}`);
      else if (it.share < 1) text.textContent = `takes ${Math.round(it.share * 100)} %`;
      else text.textContent = it.breaker === 'half_open' ? 'half open' : it.breaker;
      return el('li', { class: 'breaker', data: { breaker: state } }, el('span', { class: 'model', text: it.model }), text);
    });
    const hidden = upstreams.length - shown.length;
    if (hidden > 0) nodes.push(el('li', { class: 'breaker', data: { breaker: 'closed' }, text: `${hidden} more, closed` }));
    this.breakers.replaceChildren(...nodes);
  }
}

/** What holds for all keys of a provider: state, word, seconds left. */
function whole(provider) {
  if (provider.life !== 'up') return ['down', said(provider.life), null];
  if (provider.hold) {
    const until = provider.hold.until;
    return ['held', until ? 'held' : 'held until released', until?.seconds_left ?? null];
  }
  if (provider.cooling) return ['cooling', 'cooling', provider.cooling.seconds_left];
  return ['usable', 'up', null];
}

class Cell {
  constructor(key, roomy) {
    const number = key.id.slice(key.id.lastIndexOf('#'));
    this.note = el('span', { class: 'note' });
    this.box = el('button', { type: 'button', class: 'key', tabindex: '-1', data: { id: key.id } }, el('span', { class: 'no', text: roomy ? number : number.slice(1) }), this.note);
    if (roomy) {
      this.load = el('span', { class: 'load' });
      this.limit = el('span', { class: 'limit' });
      this.fill = el('span', { class: 'fill' });
      this.meter = el('span', { class: 'meter', 'aria-hidden': 'true' }, this.fill);
      this.box.append(this.load, this.limit, this.meter);
    }
  }

  update(key, now) {
    const close = this.load ? tightest(key) : null;
    const until = now.left === null ? '' : Math.round((Date.now() + now.left * 1000) / 2000);
    const signature = `${now.state}${now.word}${until}|${key.in_flight}|${most(key)}|${close?.text}`;
    if (signature === this.shown) return;
    this.shown = signature;
    mark(this.box, 'data-state', now.state);
    const load = `${key.in_flight}${most(key) === null ? '' : `/${most(key)}`} in flight`;
    let label = `${key.id}, ${now.word}`;
    if (now.left !== null) label += ` until ${clock(Date.now() + now.left * 1000)}`;
    mark(this.box, 'aria-label', `${label}, ${load}${close ? `, ${close.text} left` : ''}`);
    mark(this.box, 'data-flying', key.in_flight > 0 ? '' : null);
    if (this.load) {
      countDown(this.note, now.left, (left) => `${now.word} ${short(left)}`);
      if (now.left === null) put(this.note, now.word);
      put(this.load, load);
      put(this.limit, close ? close.text : '');
      this.meter.hidden = !close;
      if (close) this.fill.style.setProperty('width', `${Math.round(close.share * 100)}%`);
      mark(this.meter, 'data-low', close && close.share < 0.15 ? '' : null);
    } else {
      countDown(this.note, now.left, short);
      if (now.left === null) put(this.note, now.state === 'usable' ? (key.in_flight > 0 ? `▸${key.in_flight}` : '') : 'out');
    }
  }
}
