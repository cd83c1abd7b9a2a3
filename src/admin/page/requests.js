// The latest requests as they end, and the whole story of one of them.

import { arrange, byId, clock, count, el, millis, put, said } from './dom.js';
import { keyHome, money, ranking } from './figures.js';
import { sheet } from './orders.js';
import { call } from './wire.js';

const SHOWN = 100;

/** What each reason for a try means. */
const WHY = {
  first: 'first choice',
  retry: 'tried again',
  next_key: 'next key',
  failover: 'next upstream',
  hedge: 'beside it: the first token was late',
  deadline_hedge: 'beside it: half of the time was gone',
  continue: 'goes on from what was sent',
  restart: 'from the beginning',
};

const CAUSE = {
  nothing_left: 'nothing was left to try',
  too_late: 'the next one would have been ready too late',
  wait_forbidden: 'the caller forbade waiting',
  room_full: 'the waiting room was full',
  time_up: 'the time was up',
};

/** How an outcome looks: state and word. */
function outcome({ outcome: name, status }) {
  if (name === 'answered' && (status ?? 200) < 400) return ['usable', 'answered'];
  if (name === 'answered') return ['partly', `answered ${status}`];
  if (name === 'caller_left') return ['held', said(name)];
  return ['down', said(name)];
}

const CALM = new Set(['success', 'cancelled', 'caller_fault']);

export class Requests {
  constructor() {
    this.body = byId('requests');
    this.rows = new Map();
    this.latest = null;
    this.asked = '';
    this.paused = false;
    this.away = false;
    const again = () => {
      this.latest = null;
      this.poll();
    };
    for (const input of document.querySelectorAll('input[name="outcome"]')) input.addEventListener('change', again);
    byId('requests-target').addEventListener('change', again);
    const pause = byId('requests-pause');
    pause.addEventListener('click', () => {
      this.paused = !this.paused;
      pause.setAttribute('aria-pressed', String(this.paused));
      put(pause, this.paused ? 'Go on' : 'Pause');
      if (!this.paused) again();
    });
    this.body.addEventListener('click', (event) => {
      const row = event.target.closest('tr');
      // Who marks a text wants no sheet.
      if (row && String(getSelection()) === '') this.open(row.dataset.number);
    });
  }

  async poll() {
    if (this.paused) return;
    const failed = document.querySelector('input[name="outcome"]:checked').value === 'failed';
    const target = byId('requests-target').value.trim();
    const query = new URLSearchParams({ limit: SHOWN, outcome: failed ? 'failed' : 'all' });
    if (target) query.set('target', target);
    const asked = query.toString();
    this.asked = asked;
    let answer;
    try {
      answer = await call('GET', `/admin/v1/requests?${asked}`);
    } catch (error) {
      put(byId('requests-note'), error.status === 404 ? 'not kept by this process' : error.status === 0 ? '' : error.message);
      return;
    }
    if (this.asked !== asked || (answer.latest === this.latest && this.rows.size > 0)) return;
    this.latest = answer.latest;
    this.show(answer.requests, failed || target !== '');
    put(byId('requests-note'), answer.kept ? `the last ${count(answer.kept)} are kept` : '');
  }

  show(requests, filtered) {
    const began = performance.now();
    const seen = new Set();
    const nodes = requests.map((request) => {
      // A process that was started again counts from the beginning.
      const name = `${request.number} ${request.id}`;
      seen.add(name);
      if (!this.rows.has(name)) this.rows.set(name, line(request));
      return this.rows.get(name);
    });
    for (const name of this.rows.keys()) if (!seen.has(name)) this.rows.delete(name);
    arrange(this.body, nodes);
    const empty = byId('requests-empty');
    empty.hidden = nodes.length > 0;
    put(empty, filtered ? 'None of those that are kept.' : 'No request has ended yet.');
    performance.measure('requests', { start: began });
  }

  async open(name) {
    try {
      const request = await call('GET', `/admin/v1/requests/${encodeURIComponent(name)}`);
      sheet(`Request ${request.id}`, story(request));
    } catch (error) {
      const text = error.status === 404 ? 'It is not kept any more.' : error.message;
      sheet(`Request ${name}`, el('p', { class: 'empty', text }));
    }
  }
}

function line(request) {
  const [state, word] = outcome(request);
  const tokens = request.prompt_tokens === null && request.completion_tokens === null ? '–' : `${count(request.prompt_tokens)} → ${count(request.completion_tokens)}`;
  const open = el('button', { type: 'button', class: 'link-button', text: clock(request.at), 'aria-label': `${clock(request.at)}: show request ${request.id}` });
  const cells = [
    el('td', {}, open),
    el('td', {}, el('span', { class: 'mark', data: { state }, text: word })),
    el('td', { text: request.target || '–' }),
    el('td', {}, request.upstream ?? '–', request.key ? el('span', { class: 'soft', text: `  ${request.key}` }) : null),
    el('td', { class: request.attempts > 1 ? 'num strong' : 'num', text: request.attempts }),
    el('td', { class: 'num', text: millis(request.total_ms) }),
    el('td', { class: 'num', text: millis(request.first_token_ms) }),
    el('td', { class: 'num', text: tokens }),
    el('td', { class: 'num', text: cost(request) }),
    el('td', { text: request.client ?? '–' }),
  ];
  return el('tr', { data: { number: request.number } }, ...cells);
}

/** What it cost; estimated figures have a sign. */
function cost({ cost: amount, cost_kind: kind }) {
  if (amount === null || amount === undefined) return '–';
  return `${kind === 'estimated' ? '≈ ' : ''}${money(amount)}`;
}

/** Where the request of a conversation was served. */
const SERVED = {
  home: 'served at home',
  over_bound: 'served elsewhere: home had its share of the requests',
  moved: 'served elsewhere: home was out or failed',
};

/** Why it went where it went, as facts; nothing for a target that always has the same order. */
function routed(routing) {
  if (!routing) return [];
  const { affinity, budget, left_out: out, ranking: steps, seed, place } = routing;
  const tightest = budget?.tightest;
  const list = (items) => el('ul', {}, ...items.map((text) => el('li', { text })));
  return [
    steps.length > 0 && ['Ranked', el('div', {}, ...steps.map(ranking), el('p', { class: 'soft', text: `${place === null ? '' : `served from place ${place}; `}seed ${seed}` }))],
    affinity && ['Conversation', `at home at ${affinity.home}${affinity.warm ? '' : ', not heard of for long'}${affinity.outcome ? `, ${SERVED[affinity.outcome] ?? said(affinity.outcome)}` : ''}`],
    out.length > 0 && ['Left out', list(out.map((it) => `${it.upstream}: ${said(it.reason)}`))],
    budget && ['Budgets', list([
      budget.refused_by ? null : `${money(budget.reserved)} reserved${budget.soft ? ', a soft one was used up' : ''}`,
      budget.refused_by && `refused: ${budget.refused_by.budget} had ${money(budget.refused_by.spent)} of ${money(budget.refused_by.amount)} spent, ${money(budget.refused_by.reserved)} reserved by others`,
      tightest && `tightest: ${tightest.budget}, ${money(tightest.spent)} of ${money(tightest.amount)} spent, ${money(tightest.reserved)} reserved by others`,
      budget.steered_by && `sent to another target, for ${budget.steered_by} was used up`,
    ].filter(Boolean))],
  ].filter(Boolean);
}

/** A request from its arrival to its end. */
function story(request) {
  const [state, word] = outcome(request);
  const total = Math.max(request.total_ms, ...request.tries.map((it) => it.ended_ms), 0.001);
  const facts = [
    ['Outcome', el('span', {}, el('span', { class: 'mark', data: { state }, text: word }), request.status ? `  status ${request.status}` : '')],
    ['Arrived', `${clock(request.at)}, ${request.operation}${request.stream ? ', streamed' : ''}`],
    ['Target', request.target || '–'],
    ['Chain', request.chain?.join(' → ') || '–'],
    ['Took', `${millis(request.total_ms)}${request.first_token_ms === null ? '' : `, first token after ${millis(request.first_token_ms)}`}`],
    request.client && ['Client', request.client],
    request.prompt_tokens != null && ['Tokens', `${count(request.prompt_tokens)} asked, ${count(request.completion_tokens)} answered`],
    request.cost != null && ['Cost', `${request.cost}, ${said(request.cost_kind)}`],
    request.cache && ['Cache', request.saved ? `${request.cache}, saved ${request.saved}` : request.cache],
    ...routed(request.routing),
    request.trace_id && ['Trace', request.trace_id],
  ].filter(Boolean);
  const list = el('dl', { class: 'list' }, ...facts.map(([name, value]) => el('div', {}, el('dt', { text: name }), el('dd', {}, value))));
  const tries = [...request.tries].sort((one, other) => one.started_ms - other.started_ms);
  const steps = tries.map((it, at) => attempt(it, at, total));
  for (const met of request.rescue_obstacles ?? []) {
    const at = met.upstream ? ` at ${met.upstream}` : '';
    const text = `Not ${met.upstream ? 'continued' : 'rescued'}${at} (${millis(met.at_ms)}): ${met.detail}`;
    steps.push(el('li', { class: 'try' }, el('p', { class: 'detail', text })));
  }
  if (request.refused) steps.push(refusal(request.refused, total));
  const end = el('li', { class: 'try end' }, el('div', { class: 'try-head' }, el('span', { class: 'mark', data: { state }, text: word }), el('span', { class: 'soft', text: `after ${millis(request.total_ms)}` })));
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => el('span', { text: share === 0 ? '0' : millis(total * share) }));
  const key = el(
    'ul',
    { class: 'legend', 'aria-hidden': 'true' },
    el('li', { class: 'sample waited', text: 'waited' }),
    el('li', { class: 'sample spent', text: 'at the upstream' }),
    el('li', { class: 'sample byte', text: 'first byte' }),
    el('li', { class: 'sample token', text: 'first token' }),
  );
  return el('div', { class: 'story' }, list, el('h3', { text: 'What happened' }), key, el('div', { class: 'ticks', 'aria-hidden': 'true' }, ...ticks), el('ol', { class: 'tries' }, ...steps, end));
}

function attempt(it, at, total) {
  const calm = CALM.has(it.outcome);
  const state = it.outcome === 'success' ? 'usable' : calm ? 'held' : 'down';
  const place = (from, to) => [(from / total) * 100, Math.max(0.4, ((to - from) / total) * 100)];
  const piece = (kind, from, to) => {
    const node = el('span', { class: kind });
    const [left, width] = place(from, to);
    node.style.setProperty('left', `${Math.min(left, 99.6)}%`);
    node.style.setProperty('width', `${Math.min(width, 100 - Math.min(left, 99.6))}%`);
    return node;
  };
  const pin = (kind, moment) => {
    if (moment === null) return null;
    const node = el('span', { class: kind });
    node.style.setProperty('left', `${Math.min(100, (moment / total) * 100)}%`);
    return node;
  };
  const track = el('div', { class: 'track wide', 'aria-hidden': 'true' });
  if (it.started_ms > it.asked_ms) track.append(piece('piece waited', it.asked_ms, it.started_ms));
  const bar = piece('piece spent', it.started_ms, it.ended_ms);
  bar.dataset.state = state;
  track.append(...[bar, pin('pin byte', it.first_byte_ms), pin('pin token', it.first_token_ms)].filter(Boolean));
  const times = [
    it.waited_ms > 0.5 && `waited ${millis(it.waited_ms)}`,
    `sent at ${millis(it.started_ms)}`,
    it.first_byte_ms !== null && `first byte at ${millis(it.first_byte_ms)}`,
    it.first_token_ms !== null && `first token at ${millis(it.first_token_ms)}`,
    `ended at ${millis(it.ended_ms)}`,
  ].filter(Boolean);
  return el(
    'li',
    { class: 'try' },
    passed(it.passed_over),
    el(
      'div',
      { class: 'try-head' },
      el('strong', { text: it.upstream }),
      el('span', { class: 'soft', text: it.key }),
      el('span', { class: 'why', text: it.attempt_reason === 'first' && at > 0 ? 'asked anew' : (WHY[it.attempt_reason] ?? said(it.attempt_reason)) }),
      el('span', { class: 'mark', data: { state }, text: `${said(it.outcome)}${it.status ? ` ${it.status}` : ''}` }),
    ),
    track,
    el('p', { class: 'times soft', text: times.join(' · ') }),
    it.key_affinity ? el('p', { class: 'soft', text: keyHome(it.key_affinity) }) : null,
    it.detail ? el('p', { class: 'detail', text: it.detail }) : null,
  );
}

function passed(over) {
  if (!over || over.length === 0) return null;
  const lines = over.map((it) => el('li', {}, el('span', { text: it.upstream }), el('span', { class: 'soft', text: ` ${said(it.reason)}${it.until ? ` until ${clock(it.until)}` : ''}` })));
  return el('div', { class: 'passed' }, el('span', { class: 'soft', text: 'Passed over:' }), el('ul', {}, ...lines));
}

function refusal(refused) {
  const declined = passed(refused.declined);
  const text = `Gave up at ${millis(refused.at_ms)}: ${CAUSE[refused.cause] ?? said(refused.cause)}`;
  return el('li', { class: 'try' }, el('p', { class: 'detail', text }), declined);
}
