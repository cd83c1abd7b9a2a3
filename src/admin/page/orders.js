// What may be done here, each after a question, and the sheet that shows a key or a provider with its orders.

import { byId, count, countDown, el, put, said, span, toast } from './dom.js';
import { call } from './wire.js';
import { condition } from './tree.js';

const ORDERS = {
  hold: {
    verb: 'Hold',
    text: (kind) =>
      kind === 'key'
        ? 'It takes no more requests. Attempts under way go on.'
        : 'Requests walk on to the next upstream. Attempts under way go on.',
    span: { value: '', hint: 'Such as 30m or 1h. Empty: until it is released.' },
    done: (name) => `${name} is held`,
  },
  cooldown: {
    verb: 'Cool down',
    text: () => 'As after a 429: it is left alone for this time, never for less than it cools already. Waiting requests wait for it.',
    span: { value: '60s', hint: 'Such as 30s or 5m.', required: true },
    models: true,
    done: (name) => `${name} is cooling`,
  },
  release: {
    verb: 'Release',
    text: (kind) =>
      kind === 'key'
        ? 'Ends its hold and cooldowns, a used-up quota and the mark of an invalid key, forgets the learned limits, and starts its actor if that is down.'
        : 'Ends its hold, the cooldown of all keys, open breakers and missing models, and starts its actor if that is down. Keys stay as they are.',
    done: (name) => `${name} is released`,
  },
};

const PROCESS = {
  reload: {
    title: 'Reload the configuration?',
    text: 'The files and the environment are read again, as on SIGHUP. A mistake changes nothing, and no request is lost.',
    confirm: 'Reload',
    done: (answer) =>
      `Configuration ${answer.generation} is in use${answer.needs_restart?.length ? `; takes a restart: ${answer.needs_restart.join(', ')}` : ''}`,
  },
  drain: {
    title: 'Drain and end the process?',
    text: 'It stops taking requests, finishes those under way and ends, as on SIGTERM. This cannot be taken back.',
    confirm: 'Drain and end',
    danger: true,
    done: () => 'The process is draining',
  },
};

let changed = () => {};
let current = null;

/** `after`: what to do when an order was carried out. */
export function prepare(after) {
  changed = after;
  byId('do-reload').addEventListener('click', () => ask({ ...PROCESS.reload, path: '/admin/v1/reload' }));
  byId('do-drain').addEventListener('click', () => ask({ ...PROCESS.drain, path: '/admin/v1/drain' }));
  byId('order-cancel').addEventListener('click', () => byId('order').close());
  byId('order').addEventListener('close', () => (current = null));
  byId('order').querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault();
    carryOut();
  });
  byId('detail-close').addEventListener('click', () => byId('detail').close());
  byId('detail').addEventListener('close', () => {
    shown = null;
    byId('detail-body').replaceChildren();
  });
  byId('detail').addEventListener('click', (event) => {
    // A click beside the sheet.
    if (event.target === byId('detail')) byId('detail').close();
  });
}

/** Puts a question before an order. */
export function ask(order) {
  current = order;
  put(byId('order-title'), order.title);
  put(byId('order-text'), order.text);
  byId('order-for-field').hidden = !order.span;
  byId('order-for').value = order.span?.value ?? '';
  byId('order-for').required = order.span?.required ?? false;
  put(byId('order-for-hint'), order.span?.hint ?? '');
  byId('order-model-field').hidden = !order.models;
  const models = (order.models ?? []).map((model) => el('option', { value: model, text: model }));
  byId('order-model').replaceChildren(el('option', { value: '', text: 'all models' }), ...models);
  put(byId('order-wrong'), '');
  const confirm = byId('order-confirm');
  put(confirm, order.confirm);
  confirm.disabled = false;
  confirm.className = order.danger ? 'danger solid' : 'primary';
  byId('order').showModal();
  // What cannot be taken back is not where Enter falls.
  (order.danger ? byId('order-cancel') : order.span ? byId('order-for') : confirm).focus();
}

async function carryOut() {
  const order = current;
  if (!order) return;
  const body = {};
  const time = byId('order-for').value.trim();
  if (order.span && time) body.for = time;
  if (order.models && byId('order-model').value) body.model = byId('order-model').value;
  byId('order-confirm').disabled = true;
  try {
    const answer = await call(order.method ?? 'POST', order.path, body);
    if (current === order) byId('order').close();
    toast(order.done(answer));
    changed();
  } catch (error) {
    const mistakes = error.mistakes?.map((it) => `${it.place ? `${it.place}: ` : ''}${it.message}`) ?? [];
    const text = [error.message, ...mistakes].join('\n');
    if (current === order) {
      put(byId('order-wrong'), text);
      byId('order-confirm').disabled = false;
    } else toast(text, 'bad');
  }
}

// The sheet.
let shown = null;

/** Shows a body under a title. */
export function sheet(title, body) {
  shown = null;
  put(byId('detail-title'), title);
  byId('detail-body').replaceChildren(body);
  if (!byId('detail').open) byId('detail').showModal();
  byId('detail-title').focus();
}

/** Shows a key or a provider, with its orders; `state()` is the latest state. */
export function inspect(kind, name, state) {
  const facts = el('div', {});
  const verbs = kind === 'key' ? ['hold', 'cooldown', 'release'] : ['hold', 'release'];
  const folder = kind === 'key' ? 'keys' : 'providers';
  const buttons = verbs.map((verb) => {
    const order = ORDERS[verb];
    const start = () => {
      const provider = find(kind, name, state())?.provider;
      ask({
        title: `${order.verb} ${name}?`,
        text: order.text(kind),
        confirm: order.verb,
        span: order.span,
        models: order.models && (provider?.upstreams ?? []).map((it) => it.model),
        path: `/admin/v1/${folder}/${encodeURIComponent(name)}/${verb}`,
        done: () => order.done(name),
      });
    };
    return el('button', { type: 'button', text: `${order.verb}…`, data: { verb }, on: { click: start } });
  });
  sheet(kind === 'key' ? `Key ${name}` : `Provider ${name}`, el('div', {}, facts, el('div', { class: 'buttons left' }, ...buttons)));
  shown = { kind, name, facts };
  refresh(state());
}

/** Brings what the sheet shows up to date. */
export function refresh(state) {
  if (!shown || !state) return;
  const found = find(shown.kind, shown.name, state);
  if (!found) shown.facts.replaceChildren(el('p', { text: 'The configuration has it no more.' }));
  else shown.facts.replaceChildren(shown.kind === 'key' ? keyFacts(found.key, found.provider) : providerFacts(found.provider));
}

function find(kind, name, state) {
  for (const provider of state?.providers ?? []) {
    if (kind === 'provider' && provider.name === name) return { provider };
    const key = kind === 'key' && provider.keys.find((it) => it.id === name);
    if (key) return { provider, key };
  }
  return null;
}

function list(pairs) {
  const rows = pairs.filter(Boolean).map(([name, value]) => el('div', {}, el('dt', { text: name }), el('dd', {}, value)));
  return el('dl', { class: 'list' }, ...rows);
}

/** A text that counts down; `null`: nobody knows until when. */
function until(moment, before = '') {
  if (!moment) return el('span', { text: `${before}until released` });
  const node = el('span', {});
  countDown(node, moment.seconds_left, (left) => `${before}${span(left)} left`);
  return node;
}

function keyFacts(key, provider) {
  const now = condition(key, provider);
  const state = el('span', { class: 'mark', data: { state: now.state }, text: now.word });
  const { limits, learned } = key;
  const configured = [
    limits.rpm !== null && `${limits.rpm} requests a minute`,
    limits.tpm !== null && `${count(limits.tpm)} tokens a minute`,
    limits.rpd !== null && `${count(limits.rpd)} requests a day`,
    limits.max_in_flight !== null && `${limits.max_in_flight} at once`,
  ].filter(Boolean);
  const rows = learned.limits.map((it) =>
    el(
      'tr',
      {},
      el('td', { text: it.model }),
      el('td', { text: said(it.unit) }),
      el('td', { class: 'num', text: it.remaining === null ? '–' : `${count(it.remaining)} of ${count(it.limit)}` }),
      el('td', { class: 'num', text: it.per_minute === null ? '–' : `${count(it.per_minute)} a minute` }),
      el('td', {}, it.whole ? until(it.whole) : ''),
    ),
  );
  const heads = ['Model', 'Of what', 'Left', 'Comes back', 'Whole again'].map((text) => el('th', { scope: 'col', text }));
  return el(
    'div',
    {},
    list([
      ['State', state],
      key.hold && ['Hold', until(key.hold.until)],
      key.invalid && ['Probed by one request', until(key.invalid.probe)],
      ...key.cooling.map((it) => [`${it.reason === 'cooling' ? 'Cooling' : 'Used up'}, ${it.model ?? 'all models'}`, until(it.until)]),
      ['In flight', `${key.in_flight}${learned.max_in_flight === null ? '' : ` of ${learned.max_in_flight} (learned)`}`],
      ['Attempts', `${key.attempts} since the start`],
      ['Restarts of its actor', String(key.restarts)],
      ['Configured limits', configured.join(', ') || 'none'],
    ]),
    rows.length > 0 ? el('h3', { text: 'Learned limits' }) : null,
    rows.length > 0 ? el('table', {}, el('thead', {}, el('tr', {}, ...heads)), el('tbody', {}, ...rows)) : null,
  );
}

function providerFacts(provider) {
  const flying = provider.keys.reduce((sum, key) => sum + key.in_flight, 0);
  const states = new Map();
  for (const key of provider.keys) {
    const { state } = condition(key, provider);
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  const keys = [...states].map(([state, number]) => `${number} ${said(state)}`).join(', ');
  return list([
    ['Actor', `${said(provider.life)}, ${provider.restarts} restarts`],
    provider.hold && ['Hold', until(provider.hold.until)],
    provider.cooling && ['All keys cool', until(provider.cooling)],
    ['Keys', keys || 'none'],
    ['In flight', String(flying)],
    ...provider.upstreams.map((it) => [
      it.model,
      it.gone_until
        ? until(it.gone_until, 'gone, ')
        : it.open_until
          ? until(it.open_until, 'breaker open, ')
          : `breaker ${said(it.breaker)}${it.share < 1 ? `, takes ${Math.round(it.share * 100)} %` : ''}`,
    ]),
  ]);
}
