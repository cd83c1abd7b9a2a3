// How the page asks: JSON with the token where one is needed, and the stream of events.

import { byId } from './dom.js';

const STORED = 'pointsman-admin-token';
/** A comment comes every 15 s: a stream that is silent for longer than two of them is dead. */
const SILENCE = 35_000;
const AGAIN = [1000, 2000, 5000, 10_000];

let token = sessionStorage.getItem(STORED);
let asking = null;

export class Refused extends Error {
  constructor(status, code, message, mistakes) {
    super(message);
    Object.assign(this, { status, code, mistakes: mistakes ?? [] });
  }
}

/** The answer's JSON, or an error of class `Refused`; asks for the token as long as it is needed. */
export async function call(method, path, body) {
  for (;;) {
    const sent = token;
    const answer = await send(method, path, body);
    if (answer.status === 401) {
      await ask(sent);
      continue;
    }
    const text = await answer.text().catch(() => '');
    let json = null;
    try {
      json = JSON.parse(text);
    } catch {
      // An answer of something in between: its status says enough.
    }
    if (answer.ok && json !== null) return json;
    const error = json?.error ?? {};
    const message = error.message ?? `status ${answer.status}`;
    throw new Refused(answer.status, error.code ?? 'no_json', message, error.mistakes);
  }
}

// Not `mode: 'same-origin'`: with the page's referrer policy a browser would then send `Origin: null`, which is refused.
async function send(method, path, body) {
  const headers = { accept: 'application/json', ...bearer() };
  const init = { method, headers, cache: 'no-store', signal: AbortSignal.timeout(20_000) };
  if (method !== 'GET') {
    headers['content-type'] = 'application/json';
    headers['x-pointsman-admin'] = '1';
    init.body = JSON.stringify(body ?? {});
  }
  try {
    return await fetch(path, init);
  } catch (error) {
    throw new Refused(0, 'unreachable', `no answer: ${error.message}`);
  }
}

const bearer = () => (token ? { authorization: `Bearer ${token}` } : {});

/** Asks for a token, once for all calls that wait for it. `tried` is the one that was wrong. */
function ask(tried) {
  if (tried !== token) return Promise.resolve();
  asking ??= new Promise((resolve) => {
    const dialog = byId('login');
    const input = byId('login-token');
    byId('login-wrong').textContent = tried ? 'That token is not valid here.' : '';
    input.value = '';
    // Without it there is nothing to see: Escape does not close it.
    const stay = (event) => event.preventDefault();
    dialog.addEventListener('cancel', stay);
    dialog.querySelector('form').addEventListener(
      'submit',
      (event) => {
        event.preventDefault();
        token = input.value.trim();
        input.value = '';
        sessionStorage.setItem(STORED, token);
        dialog.removeEventListener('cancel', stay);
        dialog.close();
        asking = null;
        resolve();
      },
      { once: true },
    );
    dialog.showModal();
    input.focus();
  });
  return asking;
}

/** Follows the events for ever. `EventSource` sends no headers, so the stream is read by hand. */
export async function follow({ opened, told, lost }) {
  // No event ever has this id: all that is kept comes first.
  let last = 'none';
  let failures = 0;
  for (;;) {
    const abort = new AbortController();
    let watchdog = 0;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE);
    };
    try {
      alive();
      const headers = { accept: 'text/event-stream', 'last-event-id': last, ...bearer() };
      const sent = token;
      const answer = await fetch('/admin/v1/events', { headers, cache: 'no-store', signal: abort.signal });
      if (answer.status === 401) {
        clearTimeout(watchdog);
        await ask(sent);
        continue;
      }
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      failures = 0;
      opened();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      let event = {};
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        alive();
        const lines = (rest + value).split(/\r\n|\n/);
        rest = lines.pop();
        for (const line of lines) {
          if (line === '') {
            if (event.id) last = event.id;
            if (event.data) told(event.event ?? 'message', parsed(event.data));
            event = {};
          } else if (!line.startsWith(':')) {
            const colon = line.indexOf(':');
            const name = colon < 0 ? line : line.slice(0, colon);
            const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
            event[name] = name === 'data' && event.data ? `${event.data}\n${text}` : text;
          }
        }
      }
    } catch {
      // Whatever it was: it is tried again.
    }
    clearTimeout(watchdog);
    lost();
    await new Promise((resolve) => setTimeout(resolve, AGAIN[Math.min(failures, AGAIN.length - 1)]));
    failures += 1;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
