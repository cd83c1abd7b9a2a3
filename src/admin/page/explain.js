// Where would a request go now? Nothing is sent for it.

import { byId, countDown, el, put, said, span } from './dom.js';
import { keyHome, money, ranking } from './figures.js';
import { call } from './wire.js';

/** Of a long list of keys so many are shown at once. */
const KEYS = 6;

const VERDICT = {
  chosen: ['usable', 'goes here'],
  next: ['probing', 'comes next'],
  excluded: ['down', 'not now'],
  first: ['usable', 'first'],
  ready: ['probing', 'ready'],
};

export function prepare() {
  const form = byId('explain');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const fields = new FormData(form);
    const number = (name) => (fields.get(name) ? Number(fields.get(name)) : null);
    const question = {
      target: fields.get('target').trim() || null,
      tokens: number('tokens'),
      output_tokens: number('output_tokens'),
      stream: fields.has('stream'),
      has: fields.get('has').trim() || null,
      temperature: number('temperature'),
      // The field is in the reader's zone, the question in none.
      at: fields.get('at') ? new Date(fields.get('at')).toISOString() : null,
      client: fields.get('client') || null,
    };
    const box = byId('explained');
    try {
      box.replaceChildren(explained(await call('POST', '/admin/v1/explain', question)));
    } catch (error) {
      const text = error.code === 'not_found' ? 'This process does not explain.' : error.message;
      box.replaceChildren(el('p', { class: 'wrong', text }));
    }
  });
}

/** Offers the names that there are. */
export function offer(state) {
  const names = new Set(state.virtual.map((it) => it.name));
  for (const provider of state.providers) {
    names.add(provider.name);
    for (const it of provider.upstreams) names.add(`${provider.name}:${it.model}`);
  }
  const clients = state.clients.map((it) => it.name);
  const signature = [...names, '|', ...clients].join('\n');
  if (signature === offer.shown) return;
  offer.shown = signature;
  byId('targets').replaceChildren(...[...names].slice(0, 500).map((value) => el('option', { value })));
  byId('explain-client').hidden = clients.length === 0;
  const select = byId('explain').elements.client;
  const chosen = select.value;
  select.replaceChildren(el('option', { value: '', text: 'any' }), ...clients.map((value) => el('option', { value, text: value })));
  select.value = clients.includes(chosen) ? chosen : '';
}

function explained(answer) {
  const head = el('p', { class: 'answer' });
  const first = answer.candidates.find((it) => it.verdict === 'chosen');
  const target = answer.target ? `${answer.target}: ` : '';
  if (answer.answer === 'goes_now') head.textContent = `${target}goes now${first ? ` to ${first.upstream}` : ''}`;
  else if (answer.answer === 'waits') countDown(head, (answer.would_wait_ms ?? 0) / 1000, (left) => `${target}waits, ${span(left)} left`);
  else head.textContent = `${target}refused${answer.code ? `: ${said(answer.code)}` : ''}`;
  head.dataset.answer = answer.answer;
  const steps = (answer.ranking ?? []).map(ranking);
  return el('div', {}, head, ...steps, ...bounds(answer), el('ol', { class: 'candidates' }, ...answer.candidates.map(candidate)));
}

/** The budgets that bound it. */
function bounds({ budgets, reserved, steered_by: steered }) {
  if (!budgets || budgets.length === 0) return [];
  const line = (it) => {
    const name = it.of === 'all' ? 'all requests' : `${it.of} ${it.name}`;
    return el('li', { text: `${name}: ${money(it.spent)} of ${money(it.amount)} spent (${it.every}), ${money(it.reserved)} reserved, ${it.mode}` });
  };
  const head = el('p', { text: reserved ? `Budgets; ${money(reserved)} would be reserved:` : 'Budgets:' });
  const note = steered ? el('p', { text: `Goes to another target, for ${steered} is used up.` }) : null;
  return [el('div', { class: 'bounds' }, note, head, el('ul', { class: 'soft' }, ...budgets.map(line)))];
}

function candidate(it) {
  const [state, word] = VERDICT[it.verdict] ?? ['partly', said(it.verdict)];
  const keys = it.keys ?? [];
  const shown = el('ul', { class: 'key-list' }, ...keys.slice(0, KEYS).map(keyLine));
  const more = keys.length - KEYS;
  const rest =
    more > 0
      ? el('details', {}, el('summary', { text: `${more} more keys` }), el('ul', { class: 'key-list' }, ...keys.slice(KEYS).map(keyLine)))
      : null;
  return el(
    'li',
    { value: it.place, data: { verdict: it.verdict } },
    el('div', { class: 'try-head' }, el('strong', { text: it.upstream }), el('span', { class: 'mark', data: { state }, text: word }), because(it)),
    it.detail ? el('p', { class: 'soft', text: it.detail }) : null,
    it.estimate ? el('p', { class: 'soft', text: `may cost ${money(it.estimate)}` }) : null,
    it.key_affinity ? el('p', { class: 'soft', text: keyHome(it.key_affinity) }) : null,
    keys.length > 0 ? shown : null,
    rest,
  );
}

function keyLine(it) {
  const [state, word] = VERDICT[it.verdict] ?? ['partly', said(it.verdict)];
  return el('li', {}, el('span', { class: 'mark', data: { state }, text: `${it.id} ${word}` }), because(it));
}

/** Why not, and for how long. */
function because(it) {
  if (!it.reason) return null;
  const node = el('span', { class: 'soft' });
  if (it.seconds_left === null || it.seconds_left === undefined) put(node, said(it.reason));
  else countDown(node, it.seconds_left, (left) => `${said(it.reason)}, ${span(left)} left`);
  return node;
}
