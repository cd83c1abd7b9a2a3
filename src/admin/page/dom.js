// Small helpers: elements, texts, numbers. Whatever comes from outside becomes text, never markup.

/** An element; `props` are class, text, data, on and attributes; children are nodes or texts. */
export function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  fill(node, props);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function svg(name, props = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  fill(node, props);
  node.append(...children);
  return node;
}

function fill(node, { class: kind, text, data, on, ...attributes }) {
  if (kind) node.setAttribute('class', kind);
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(data ?? {})) node.dataset[name] = value;
  for (const [name, listener] of Object.entries(on ?? {})) node.addEventListener(name, listener);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined && value !== null) node.setAttribute(name, value);
}

export const byId = (id) => document.getElementById(id);

/** Writes a text only where it differs: untouched nodes cost no layout. */
export function put(node, text) {
  const value = String(text);
  if (node.textContent !== value) node.textContent = value;
}

export function mark(node, name, value) {
  if (value === null || value === undefined) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Puts `nodes` into `parent` in this order; those that stand right are not moved. */
export function arrange(parent, nodes) {
  let at = parent.firstChild;
  for (const node of nodes) {
    if (at === node) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/** Milliseconds as people read them. */
export function millis(value) {
  if (value === null || value === undefined) return '–';
  if (value < 10) return `${Number(value.toFixed(1))} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 10_000) return `${Number((value / 1000).toFixed(2))} s`;
  return span(value / 1000);
}

/** Seconds as people read them. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 100) return `${whole} s`;
  const two = (large, unit, small, rest) => (small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${rest}`);
  if (whole < 3600) return two(Math.floor(whole / 60), 'min', whole % 60, 's');
  if (whole < 86_400) return two(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'min');
  return two(Math.floor(whole / 86_400), 'd', Math.floor((whole % 86_400) / 3600), 'h');
}

/** The same in at most four characters. */
export function short(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 100) return `${whole}s`;
  if (whole < 6000) return `${Math.ceil(whole / 60)}m`;
  if (whole < 360_000) return `${Math.ceil(whole / 3600)}h`;
  return `${Math.ceil(whole / 86_400)}d`;
}

export function count(value) {
  if (value === null || value === undefined) return '–';
  if (value < 10_000) return String(value < 20 ? Math.round(value * 10) / 10 : Math.round(value));
  if (value < 1_000_000) return `${(value / 1000).toFixed(value < 100_000 ? 1 : 0)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

// Made once: it is dear, and `toLocaleTimeString` makes one with every call.
const TIME = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });

/** A moment's time of day here. */
export function clock(moment) {
  const at = new Date(moment);
  return Number.isNaN(at.getTime()) ? String(moment) : TIME.format(at);
}

export const words = (name) => String(name).replaceAll('_', ' ');

/** Names of a reason, a class or a state where the plain word is not enough. */
const SAID = {
  quota_exhausted: 'used up',
  caller_left: 'caller left',
  breaker_open: 'breaker open',
};
/** Units where there is little room. */
const UNITS = { requests: 'req', tokens: 'tok', requests_per_day: 'req/day', input_tokens: 'tok in', output_tokens: 'tok out' };
export const unit = (name) => UNITS[name] ?? said(name);
export const said = (name) => SAID[name] ?? words(name);

// What counts down: one timer for all of it, and none while nobody looks.
const running = new Map();

/** Shows in `node` what is left until `left` seconds from now, as `show(seconds)`. `null` stops it. */
export function countDown(node, left, show) {
  if (left === null || left === undefined) {
    running.delete(node);
    return;
  }
  running.set(node, { until: performance.now() + left * 1000, show });
  put(node, show(left));
}

export function tick() {
  const now = performance.now();
  for (const [node, { until, show }] of running) {
    if (!node.isConnected) running.delete(node);
    else put(node, show(Math.max(0, (until - now) / 1000)));
  }
}

/** Arrow keys, Home and End move within `box`; it is one stop for Tab. */
export function rove(box, selector) {
  const all = () => [...box.querySelectorAll(selector)].filter((node) => node.offsetParent !== null);
  box.addEventListener('keydown', (event) => {
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 'down', ArrowUp: 'up', Home: 'first', End: 'last' };
    const move = moves[event.key];
    const from = event.target.closest(selector);
    if (move === undefined || !from) return;
    event.preventDefault();
    const nodes = all();
    const at = nodes.indexOf(from);
    let next = null;
    if (move === 'first') next = nodes[0];
    else if (move === 'last') next = nodes.at(-1);
    else if (typeof move === 'number') next = nodes[at + move];
    else {
      const side = move === 'down' ? 1 : -1;
      const here = from.getBoundingClientRect();
      for (let n = at + side; n >= 0 && n < nodes.length; n += side) {
        const there = nodes[n].getBoundingClientRect();
        if (Math.abs(there.left - here.left) < here.width / 2 && there.top !== here.top) {
          next = nodes[n];
          break;
        }
      }
    }
    if (next) next.focus();
  });
  box.addEventListener('focusin', (event) => {
    const node = event.target.closest(selector);
    if (!node || node.tabIndex === 0) return;
    for (const other of box.querySelectorAll(`${selector}[tabindex="0"]`)) other.tabIndex = -1;
    node.tabIndex = 0;
  });
}

let announced = 0;
let pending = [];
/** Tells it to who does not see it; many at once are told as a number. */
export function announce(text) {
  pending.push(text);
  if (pending.length > 1) return;
  const wait = Math.max(50, 4000 - (performance.now() - announced));
  setTimeout(() => {
    const [first, ...more] = pending;
    pending = [];
    announced = performance.now();
    move();
    byId('live').textContent = more.length ? `${first}, and ${more.length} more changes` : first;
  }, wait);
}

/** What is outside an open dialog is neither seen nor read out: what is told moves into it, and back when it closes. */
function move() {
  const open = [...document.querySelectorAll('dialog[open]')];
  // The one that was opened last is the one that has the focus.
  const host = open.find((it) => it.contains(document.activeElement)) ?? open.at(-1) ?? document.body;
  if (byId('tell').parentNode !== host) host.append(byId('tell'));
}
document.addEventListener('close', move, true);

/** Tells everybody how something went. */
export function toast(text, kind = 'good') {
  const note = el('p', { class: 'toast', data: { kind }, text: `${kind === 'good' ? '✓' : '✕'} ${text}` });
  move();
  // A live region that has just moved is not listened to yet.
  setTimeout(() => byId('toasts').append(note), 50);
  setTimeout(() => note.remove(), 8000);
}
