// The live page: what is asked when, and who shows it. The state is read once and after each change that the stream of
// events tells, and in between slowly, because successes change counters only.

import { announce, byId, clock, count, el, mark, put, said, span, tick } from './dom.js';
import { call, follow } from './wire.js';
import { Added } from './added.js';
import { Cache } from './cache.js';
import { Fleet } from './fleet.js';
import { Chains } from './chains.js';
import { Charts } from './charts.js';
import * as explain from './explain.js';
import * as orders from './orders.js';
import { Requests } from './requests.js';
import { Routing } from './routing.js';
import { Spend } from './spend.js';
import { condition, Tree } from './tree.js';

const DEBOUNCE = 250;
const [STATE_EVERY, STATE_EVERY_OF_MANY, MANY] = [2000, 5000, 300];
const REQUESTS_EVERY = 1500;
const HISTORY_EVERY = 5000;
const SPEND_EVERY = 5000;
const CACHE_EVERY = 3000;
const [ROUTING_EVERY, ROUTING_EVERY_OF_MANY] = [3000, 10_000];
const EVENTS = 60;

let state = null;
let streaming = false;
let reachable = null;
let seen = null;

const tree = new Tree(byId('tree'), (kind, name) => orders.inspect(kind, name, () => state));
const chains = new Chains(byId('chains'));
const charts = new Charts(byId('charts'));
const requests = new Requests();
const spend = new Spend();
const cache = new Cache();
const fleet = new Fleet();
const routing = new Routing();
const added = new Added(orders.ask, () => refreshState(0));

/** Runs one after the other, `DEBOUNCE` apart; whatever is asked for meanwhile runs once. */
function calmly(work) {
  let [running, again, timer] = [false, false, 0];
  const run = async () => {
    timer = 0;
    running = true;
    await work();
    running = false;
    if (again) {
      again = false;
      timer = setTimeout(run, DEBOUNCE);
    }
  };
  return (soon = DEBOUNCE) => {
    if (running) again = true;
    else if (timer === 0) timer = setTimeout(run, soon);
  };
}

const refreshState = calmly(async () => {
  try {
    const answer = await call('GET', '/admin/v1/state');
    const began = performance.now();
    state = answer;
    seen = new Date();
    reachable = true;
    tree.update(state);
    chains.showState(state);
    explain.offer(state);
    added.offer(state);
    orders.refresh(state);
    facts();
    performance.measure('state', { start: began });
  } catch (error) {
    reachable = false;
    notice(error.status === 0 ? null : error.message);
  }
  link();
});

const refreshHistory = calmly(async () => {
  try {
    const history = await call('GET', '/admin/v1/history');
    const began = performance.now();
    charts.show(history);
    chains.showFlows(history.flows);
    performance.measure('history', { start: began });
  } catch {
    // The state tells whether anybody answers.
  }
});

function facts() {
  const { process, router, providers } = state;
  const keys = providers.flatMap((provider) => provider.keys.map((key) => condition(key, provider).state));
  const usable = keys.filter((it) => it === 'usable' || it === 'partly' || it === 'probing').length;
  put(byId('version'), process.version);
  put(byId('fact-in-flight'), count(process.in_flight));
  put(byId('fact-waiting'), count(router.waiting));
  put(byId('fact-keys'), `${usable} of ${keys.length}`);
  mark(byId('fact-keys'), 'data-low', usable < keys.length ? '' : null);
  put(byId('fact-generation'), `no. ${process.generation}`);
  put(byId('fact-uptime'), span(process.uptime_seconds));
  const bad = process.last_reload?.result === 'refused';
  const mistakes = bad ? process.last_reload.mistakes.map((it) => `${it.place}: ${it.message}`).join('; ') : '';
  if (process.draining) notice('The process is draining: it takes no more requests and ends when those under way have ended.');
  else notice(bad ? `The last reload (${clock(process.last_reload.at)}) was refused, and nothing has changed: ${mistakes}` : null);
  byId('do-drain').disabled = process.draining;
  byId('do-reload').disabled = process.draining;
}

function notice(text) {
  const box = byId('notice');
  put(box, text ?? '');
  box.hidden = !text;
}

function link() {
  const [name, text] =
    reachable === false
      ? ['lost', seen ? `Lost, as of ${clock(seen)}` : 'No answer']
      : reachable === null
        ? ['connecting', 'Connecting']
        : streaming
          ? ['live', 'Live']
          : ['polling', 'Polling'];
  mark(byId('link'), 'data-link', name);
  put(byId('link-text'), text);
  mark(document.body, 'data-stale', name === 'lost' ? '' : null);
}

// Events.
const HELD = /held|quarantined/;
const BAD = /opened|invalid|failed|gone|refused|full|lagged|cut/;
const GOOD = /usable|recovered|released|closed|restarted|reloaded/;

/** Fields of events that are plain without their names. */
const FIELDS = {
  for_seconds: (value) => `for ${span(value)}`,
  reason: (value) => said(value),
  model: (value) => String(value),
};
const other = (value, field) => `${said(field)} ${typeof value === 'object' ? JSON.stringify(value) : value}`;

const opened = Date.now();
let news = [];

/** Events are shown in bundles: thousands may come at once. */
function told(name, event) {
  if (news.length === 0) setTimeout(tell, 100);
  news.push([name, event]);
  if (news.length > 2 * EVENTS) news = news.slice(-EVENTS);
}

function tell() {
  const bundle = news.slice(-EVENTS);
  news = [];
  refreshState();
  const items = bundle.filter(([name, event]) => name !== 'lagged' || event.missed).map(([name, event]) => change(name, event));
  const box = byId('events');
  box.prepend(...items.reverse());
  while (box.children.length > EVENTS) box.lastChild.remove();
}

function change(name, event) {
  const { id, type, at, ...fields } = event;
  const subject = fields.key ?? fields.upstream ?? fields.provider ?? fields.actor ?? '';
  for (const field of ['key', 'upstream', 'provider', 'actor']) if (fields[field] === subject) delete fields[field];
  const more = Object.entries(fields).filter(([, value]) => value !== null && value !== '');
  const detail = more.map(([field, value]) => (FIELDS[field] ?? other)(value, field)).join(', ');
  const kind = HELD.test(name) ? 'held' : BAD.test(name) ? 'down' : GOOD.test(name) ? 'usable' : 'cooling';
  if (!at || Date.parse(at) > opened) announce(`${said(name)} ${subject}`.trim());
  return el(
    'li',
    {},
    el('time', { class: 'soft', text: at ? clock(at) : '' }),
    el('span', { class: 'mark', data: { state: kind }, text: said(name) }),
    el('strong', { text: subject }),
    el('span', { class: 'soft', text: detail }),
  );
}

follow({
  opened: () => {
    streaming = true;
    link();
    refreshState(0);
  },
  told,
  lost: () => {
    streaming = false;
    link();
    refreshState(0);
  },
});

// What is asked for while somebody looks.
function every(pause, work) {
  const turn = () => {
    if (document.visibilityState === 'visible') work();
    setTimeout(turn, typeof pause === 'function' ? pause() : pause);
  };
  turn();
}
const keys = () => state?.providers.reduce((sum, provider) => sum + provider.keys.length, 0) ?? 0;
every(() => (keys() > MANY ? STATE_EVERY_OF_MANY : STATE_EVERY), () => refreshState(0));
every(HISTORY_EVERY, () => refreshHistory(0));
every(REQUESTS_EVERY, calmly(() => requests.poll()));
every(SPEND_EVERY, calmly(() => spend.poll()));
every(CACHE_EVERY, calmly(() => cache.poll()));
every(CACHE_EVERY, calmly(() => fleet.poll()));
every(CACHE_EVERY, calmly(() => added.poll()));
every(() => (routing.many > MANY ? ROUTING_EVERY_OF_MANY : ROUTING_EVERY), calmly(() => routing.poll()));
every(1000, tick);
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState !== 'visible') return;
  refreshState(0);
  refreshHistory(0);
});

// Colours.
const THEMES = { auto: ['◐ Auto', 'as the system'], light: ['○ Light', 'light'], dark: ['● Dark', 'dark'] };
function theme(name) {
  const [text, label] = THEMES[name];
  if (name === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  put(byId('theme'), text);
  byId('theme').setAttribute('aria-label', `Colours: ${label}`);
  localStorage.setItem('pointsman-theme', name);
}
const kept = localStorage.getItem('pointsman-theme');
theme(kept in THEMES ? kept : 'auto');
byId('theme').addEventListener('click', () => {
  const names = Object.keys(THEMES);
  const now = document.documentElement.dataset.theme ?? 'auto';
  theme(names[(names.indexOf(now) + 1) % names.length]);
});

byId('only-out').addEventListener('change', (event) => byId('tree').classList.toggle('only-out', event.target.checked));
orders.prepare(() => {
  refreshState(0);
  added.poll();
});
explain.prepare();
