// What the tests of the page need: an upstream that plays its part, the program, load, a browser.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const ROOT = new URL('../../', import.meta.url).pathname;
const PROGRAM = process.env.POINTSMAN ?? join(ROOT, 'target/debug/pointsman');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FOLDER = join(ROOT, 'src/admin/page');

/** An upstream in OpenAI's dialect: limits in its headers, refusals and failures as its keys and models say. */
export async function upstream() {
  const left = new Map();
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    const { model, stream } = JSON.parse(text || '{}');
    const key = (request.headers.authorization ?? '').replace('Bearer ', '');
    const remaining = Math.max(0, (left.get(key) ?? 60) - 1);
    left.set(key, remaining === 0 ? 60 : remaining);
    const headers = {
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': String(remaining),
      'x-ratelimit-reset-requests': `${60 - remaining}s`,
    };
    const fail = (status, code, more = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers, ...more });
      response.end(JSON.stringify({ error: { message: `${code}: <b onclick="alert(1)">not markup</b>`, type: code, code } }));
    };
    if (key.endsWith('-cold')) return fail(429, 'rate_limit_exceeded', { 'retry-after': '45' });
    if (key.endsWith('-wrong')) return fail(401, 'invalid_api_key');
    if (model === 'broken') return fail(500, 'server_error');
    if (model === 'shaky' && Math.random() < 0.35) return fail(503, 'overloaded');
    await pause(30 + Math.random() * 90 + (Math.random() < 0.06 ? 400 : 0));
    const base = { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model };
    const usage = { prompt_tokens: 12, completion_tokens: 24, total_tokens: 36 };
    if (!stream) {
      response.writeHead(200, { 'content-type': 'application/json', ...headers });
      const choices = [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }];
      return response.end(JSON.stringify({ ...base, choices, usage }));
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
    const chunk = (choices, more) => response.write(`data: ${JSON.stringify({ ...base, object: 'chat.completion.chunk', choices, ...more })}\n\n`);
    chunk([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]);
    for (let n = 0; n < 12; n += 1) {
      await pause(8 + Math.random() * 12);
      chunk([{ index: 0, delta: { content: 'word ' }, finish_reason: null }]);
    }
    chunk([{ index: 0, delta: {}, finish_reason: 'stop' }], { usage });
    response.end('data: [DONE]\n\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${server.address().port}/v1`, close: () => server.close() };
}

/** A gateway on ports of its own; `config` is YAML, or nothing for `--demo`. */
export async function gateway(config, admin = '127.0.0.1:0') {
  const folder = mkdtempSync(join(tmpdir(), 'pointsman-page-'));
  const args = ['serve', '--listen', '127.0.0.1:0', '--admin-listen', admin];
  if (config) {
    writeFileSync(join(folder, 'pointsman.yaml'), config);
    args.push('--config', join(folder, 'pointsman.yaml'));
  } else args.push('--demo');
  const env = { PATH: process.env.PATH, POINTSMAN__LOG__FORMAT: 'json' };
  const child = spawn(PROGRAM, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const found = {};
  let log = '';
  const read = (piece) => {
    log += piece;
    for (const line of log.split('\n')) {
      if (!line.includes('listening')) continue;
      const address = /"address":"([^"]+)"/.exec(line)?.[1];
      if (address) found[line.includes('"listener":"admin"') ? 'admin' : 'data'] = `http://${address}`;
    }
  };
  child.stdout.setEncoding('utf8').on('data', read);
  child.stderr.setEncoding('utf8').on('data', read);
  for (let n = 0; n < 200 && !(found.admin && found.data); n += 1) await pause(50);
  if (!found.admin || !found.data) throw new Error(`it does not listen:\n${log}`);
  const stop = async () => {
    if (child.exitCode === null) {
      child.kill('SIGTERM');
      await Promise.race([once(child, 'exit'), pause(5000)]);
      child.kill('SIGKILL');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...found, child, stop };
}

/** One chat request; its answer is read to the end. */
export async function chat(data, model, stream = false) {
  const body = JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'hello' }] });
  const answer = await fetch(`${data}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  await answer.text();
  return answer;
}

/** Requests at a rate that goes up and down, until `stop` is called. */
export function load(data, models, perSecond = 12) {
  let going = true;
  const done = (async () => {
    for (let n = 0; going; n += 1) {
      chat(data, models[n % models.length], n % 3 !== 0).catch(() => {});
      await pause(1000 / (perSecond * (1 + 0.6 * Math.sin(n / 60))));
    }
  })();
  return async () => {
    going = false;
    await done;
  };
}

/** A browser, started as its sandboxed home asks for. */
export function browser() {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/** With PAGE_FROM_DISK=1 the page's files come from the work tree, so that a change needs no build. */
export async function fromDisk(page) {
  if (!process.env.PAGE_FROM_DISK) return;
  const kinds = { css: 'text/css', js: 'text/javascript', html: 'text/html', svg: 'image/svg+xml' };
  const policy = /const POLICY: &str = "([^;]*(?:.|\n)*?)";/.exec(readFileSync(join(ROOT, 'src/admin/page.rs'), 'utf8'))[1].replace(/\\\n\s*/g, '');
  const serve = (route, name) =>
    route.fulfill({ headers: { 'content-type': kinds[name.split('.').pop()], 'content-security-policy': policy, 'referrer-policy': 'no-referrer' }, body: readFileSync(join(FOLDER, name)) });
  await page.route('**/page/*', (route) => serve(route, new URL(route.request().url()).pathname.split('/').pop()));
  await page.route((url) => url.pathname === '/', (route) => serve(route, 'index.html'));
}
