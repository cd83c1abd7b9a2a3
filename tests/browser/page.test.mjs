// The live page in a real browser: what it shows, what it does, with the keyboard alone, in the dark, and with 1,000 keys.
// How to run it: docs/observability-page.md.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import * as house from './house.mjs';
import * as madeUp from './made_up.mjs';

const IMAGES = new URL('../../docs/img/', import.meta.url).pathname;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const MODELS = ['smart', 'smart', 'fast', 'cirrus', 'smart', 'boreal:broken', 'cheap'];

let upstream, gateway, browser, stopLoad, explains;

before(async () => {
  mkdirSync(IMAGES, { recursive: true });
  upstream = await house.upstream();
  gateway = await house.gateway(`
llm:
  default_model: smart
  providers:
    - {name: atlas, base_url: "${upstream.url}", model: shaky, models: [shaky, small], price: {input: 0.15, output: 0.6}, api_keys: [a-1, a-2, a-3-cold, a-4], circuit_breaker: {failure_threshold: 0, failure_rate: 0}}
    - {name: boreal, base_url: "${upstream.url}", model: large, models: [large, broken], price: {input: 0.1, output: 1}, budgets: [{amount: 25, every: day}], api_keys: [b-1, b-2, b-3-wrong, b-4, b-5, b-6, b-7], limits: {rpm: 900, max_in_flight: 8}, circuit_breaker: {recovery_time: 90s}}
    - {name: cirrus, base_url: "${upstream.url}", model: medium, api_keys: [c-1, c-2]}
    - {name: reserve, dialect: echo, model: echo}
  virtual:
    - {name: smart, upstreams: ["atlas:shaky", "boreal:large", cirrus]}
    - {name: fast, upstreams: ["boreal:broken", "atlas:small"]}
    - {name: careful, upstreams: [cirrus, smart, reserve]}
    - {name: cheap, policy: cost, upstreams: ["atlas:small", "boreal:large", {name: cirrus, when: {has: [images]}}]}
dispatch: {budgets: [{amount: 0.0001, every: month, mode: soft}]}
`);
  const headers = { 'content-type': 'application/json' };
  explains = (await fetch(`${gateway.admin}/admin/v1/explain`, { method: 'POST', headers, body: '{}' })).ok;
  stopLoad = house.load(gateway.data, MODELS);
  browser = await house.browser();
  // Charts with something in them, where pictures are taken.
  if (process.env.PICTURES) await pause(Number(process.env.PICTURES) * 1000);
});

after(async () => {
  await stopLoad?.();
  await browser?.close();
  await gateway?.stop();
  upstream?.close();
});

/** A page of its own; complaints of the browser, of its policy too, are failures. */
async function open(options = {}, address = gateway.admin, prepare = async () => {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 960 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => {
    // A 401 or a 404 that is waited for is one in the console too.
    if (['error', 'warning'].includes(message.type()) && !message.text().includes('the server responded with')) page.complaints.push(message.text());
  });
  await house.fromDisk(page);
  await prepare(page);
  await page.goto(`${address}/`);
  return page;
}

async function close(page) {
  assert.deepEqual(page.complaints, []);
  await page.context().close();
}

const seen = (page, text) => page.getByText(text).first().waitFor();
/** Only where asked for: the pictures are part of the documentation. */
const shot = (page, name) => (process.env.PICTURES ? page.screenshot({ path: `${IMAGES}${name}.png` }) : null);

async function audit(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] }));
  assert.deepEqual(violations.map((it) => `${it.id}: ${it.nodes.slice(0, 4).map((node) => node.html.slice(0, 120)).join(' | ')}`), []);
}

test('shows actors, chains, charts and what changes', async () => {
  const page = await open();
  await page.locator('#link[data-link="live"]').waitFor();
  for (const name of ['atlas', 'boreal', 'cirrus', 'reserve']) await page.getByRole('button', { name, exact: true }).waitFor();
  assert.equal(await page.locator('.key').count(), 14);
  await page.locator('.key[data-id="atlas#3"][data-state="cooling"], .key[data-id="atlas#3"][data-state="partly"]').waitFor();
  await page.locator('.key[data-id="boreal#3"][data-state="invalid"]').waitFor({ timeout: 20_000 });
  await page.locator('.breaker[data-breaker="open"]').waitFor({ timeout: 20_000 });
  await seen(page, /cool/);
  const chain = page.locator('.route').filter({ hasText: 'smart' }).first();
  await chain.filter({ hasText: 'attempts' }).waitFor({ timeout: 20_000 });
  assert.equal(await chain.locator('li').count(), 3);
  // Four charts with lines in them.
  await page.waitForFunction(() => /L/.test(document.querySelector('.chart path.line')?.getAttribute('d')));
  await page.waitForFunction(() => [...document.querySelectorAll('.chart .value')].every((it) => /\d/.test(it.textContent)), null, { timeout: 20_000 });
  assert.match(await page.locator('.plot').first().getAttribute('aria-label'), /now requests [\d.]+\/s/);
  // A cooldown counts down by itself.
  const inSeconds = () => [...document.querySelectorAll('.key')].find((it) => /\d+\s?s$/.test(it.querySelector('.note')?.textContent ?? ''));
  const seconds = await page.waitForFunction(inSeconds).then((key) => key.evaluate((it) => [it.dataset.id, it.querySelector('.note').textContent]));
  await page.waitForFunction(([id, text]) => document.querySelector(`.key[data-id="${id}"] .note`).textContent !== text, seconds);
  await close(page);
});

test('recent decisions, and the story of one', async () => {
  const prepare = async (page) => {
    await page.route('**/admin/v1/requests?*', (route) => {
      const failed = new URL(route.request().url()).searchParams.get('outcome') === 'failed';
      route.fulfill({ json: failed ? { ...madeUp.list, requests: madeUp.list.requests.slice(2, 3) } : madeUp.list });
    });
    await page.route('**/admin/v1/requests/4711', (route) => route.fulfill({ json: madeUp.story }));
    await page.route('**/admin/v1/requests/4709', (route) => route.fulfill({ json: madeUp.refused }));
  };
  const page = await open({}, gateway.admin, prepare);
  await page.locator('#requests tr').first().waitFor();
  assert.equal(await page.locator('#requests tr').count(), 4);
  await page.locator('#requests tr').first().click();
  const sheet = page.getByRole('dialog');
  await seen(sheet, 'What happened');
  assert.equal(await sheet.locator('.try').count(), 5);
  for (const text of ['next key', 'tried again', 'beside it: the first token was late', 'breaker open until', 'waited 250 ms', 'ranked by cost', 'cost 0.00045', 'atlas:tiny: lacks tools', 'served elsewhere: home was out or failed', '0.0042 reserved', 'the budget of client `ci`, 3.20 of 5.00 spent']) await seen(sheet, text);
  assert.equal(await sheet.locator('.pin.token').count(), 1);
  // What comes from outside stays text.
  await seen(sheet, '<b onclick="alert(1)">not markup</b>');
  assert.equal(await sheet.locator('b').count(), 0);
  await pause(300);
  await audit(page);
  await shot(page, 'request');
  await page.keyboard.press('Escape');
  await page.getByText('Failed', { exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll('#requests tr').length === 1);
  await page.locator('#requests .link-button').click();
  await seen(sheet, /Gave up at 1.9 ms: the next one would have been ready too late/);
  await page.getByRole('button', { name: 'Close' }).click();
  await close(page);
});

test('the real list and a real story', async () => {
  const page = await open();
  await page.locator('#requests tr').first().waitFor();
  const before = await page.locator('#requests tr').first().getAttribute('data-number');
  await page.waitForFunction((number) => document.querySelector('#requests tr').dataset.number !== number, before);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.locator('#requests tr', { has: page.locator('td.num.strong') }).first().click();
  await seen(page.getByRole('dialog'), 'What happened');
  assert.ok((await page.locator('.try').count()) >= 3);
  await close(page);
});

test('shows what was spent, budgets, prices and what policies rank by', async () => {
  const page = await open();
  const money = page.locator('#money');
  const row = money.locator('#spend tr').filter({ hasText: 'smart' }).first();
  await row.waitFor();
  assert.match(await row.locator('td.num').first().textContent(), /^0\.0+[1-9]/);
  // By provider and day instead of client and target.
  for (const name of ['Client', 'Target', 'Provider', 'Day']) await money.getByLabel(name, { exact: true }).click();
  await money.locator('#spend tr').filter({ hasText: 'atlas' }).filter({ hasText: /20\d\d-\d\d-\d\d/ }).waitFor();
  assert.deepEqual((await money.locator('#spend-head th').allTextContents()).slice(0, 3), ['Provider', 'Day', 'Cost']);
  const whole = money.locator('.budget').filter({ hasText: 'All requests' });
  await whole.filter({ hasText: 'used up' }).waitFor({ timeout: 20_000 });
  await whole.getByText(/soft, month .* next window in/).waitFor();
  await money.locator('.budget').filter({ hasText: 'provider boreal' }).filter({ hasText: 'of 25.00' }).waitFor();
  const routing = page.locator('#routing');
  const small = routing.locator('#figures tr').filter({ hasText: 'atlas:small' });
  assert.deepEqual((await small.locator('td').allTextContents()).slice(0, 4), ['0.15', '0.6', '0.15', 'configuration']);
  await routing.locator('#figures tr').filter({ hasText: 'cirrus:medium' }).filter({ hasText: 'unknown' }).waitFor();
  const cheap = routing.locator('#rankings .route').filter({ hasText: 'cheap' });
  await cheap.filter({ hasText: /cost 0\.000/ }).waitFor();
  assert.equal(await cheap.locator('li').count(), 3);
  assert.equal(await cheap.locator('li[data-out]').filter({ hasText: 'cirrus' }).count(), 1);
  await routing.getByLabel('Upstream', { exact: true }).fill('boreal');
  await page.waitForFunction(() => [...document.querySelectorAll('#figures tr')].filter((it) => !it.hidden).length === 2);
  await close(page);
});

test('1,000 rows of spend, budgets and upstreams cost a few milliseconds for each change', async () => {
  let round = 0;
  const prepare = async (page) => {
    await page.route('**/admin/v1/spend?*', (route) => route.fulfill({ json: madeUp.spending(1000, round++) }));
    await page.route('**/admin/v1/routing', (route) => route.fulfill({ json: madeUp.routing(1000, round++) }));
  };
  const page = await open({}, gateway.admin, prepare);
  for (const rows of ['#spend tr', '#budgets li', '#figures tr']) await page.waitForFunction((it) => document.querySelectorAll(it).length === 1000, rows);
  const took = (name) => page.evaluate((it) => performance.getEntriesByName(it).map((entry) => Math.round(entry.duration * 10) / 10), name);
  // What it shows changes twice.
  for (let n = 0; n < 2; n += 1) {
    await page.evaluate(() => document.getElementById('spend-days').dispatchEvent(new Event('change')));
    await page.waitForFunction((it) => performance.getEntriesByName('spend').length >= it, n + 2);
  }
  await page.waitForFunction(() => performance.getEntriesByName('routing').length >= 2, null, { timeout: 30_000 });
  const [spend, routing] = [await took('spend'), await took('routing')];
  console.log(`1,000 rows: spend and budgets ${spend.join(', ')} ms, figures ${routing.join(', ')} ms of script`);
  // Of several changes the quickest one: the machine has other things to do.
  assert.ok(Math.min(...spend.slice(1)) < 50 && Math.min(...routing.slice(1)) < 50, `${spend}; ${routing}`);
  await close(page);
});

test('explains', async () => {
  const prepare = (page) => (explains ? null : page.route('**/admin/v1/explain', (route) => route.fulfill({ json: madeUp.answer })));
  const page = await open({}, gateway.admin, prepare);
  const form = page.locator('#explain');
  await form.getByLabel('Target').fill('smart');
  await form.getByLabel('Tokens').fill('500');
  await form.getByRole('button', { name: 'Explain' }).click();
  await page.locator('.answer').waitFor();
  assert.match(await page.locator('.answer').textContent(), /smart: (goes now|waits|refused)/);
  assert.equal(await page.locator('.candidates > li').count(), 3);
  await page.locator('#explained .bounds').filter({ hasText: 'provider boreal' }).waitFor();
  await form.getByLabel('Target').fill('cheap');
  await form.getByLabel('Needs').fill('tools');
  await form.getByLabel('Temperature').fill('0.7');
  await form.getByLabel('At', { exact: true }).fill('2027-01-31T18:30:00');
  const asked = page.waitForRequest('**/admin/v1/explain');
  await form.getByRole('button', { name: 'Explain' }).click();
  const { has, temperature, at } = (await asked).postDataJSON();
  assert.deepEqual({ has, temperature, at }, { has: 'tools', temperature: 0.7, at: new Date('2027-01-31T18:30:00').toISOString() });
  await page.locator('#explained .ranking').filter({ hasText: 'ranked by cost' }).waitFor();
  assert.match(await page.locator('#explained .members').textContent(), /cost 0\.00/);
  await close(page);
});

test('a key is held and released by the buttons, each after a question', async () => {
  const page = await open();
  const key = page.locator('.key[data-id="cirrus#2"]');
  await key.click();
  const sheet = page.locator('#detail');
  await sheet.getByRole('button', { name: 'Hold…' }).click();
  const question = page.locator('#order');
  await seen(question, 'Hold cirrus#2?');
  // Cancelled, nothing happens.
  await question.getByRole('button', { name: 'Cancel' }).click();
  assert.equal((await state('cirrus#2')).state, 'usable');
  await sheet.getByRole('button', { name: 'Hold…' }).click();
  await question.getByLabel('For').fill('soon');
  await question.getByRole('button', { name: 'Hold' }).click();
  await question.getByRole('alert').filter({ hasText: 'must be a time' }).waitFor();
  await question.getByLabel('For').fill('1h');
  await question.getByRole('button', { name: 'Hold' }).click();
  await seen(page.locator('#toasts'), 'cirrus#2 is held');
  await page.locator('.key[data-id="cirrus#2"][data-state="held"]').waitFor();
  assert.equal((await state('cirrus#2')).state, 'held');
  await sheet.getByRole('button', { name: 'Release…' }).click();
  await question.getByRole('button', { name: 'Release' }).click();
  await seen(page.locator('#toasts'), 'cirrus#2 is released');
  await page.locator('.key[data-id="cirrus#2"][data-state="usable"]').waitFor();
  await sheet.getByRole('button', { name: 'Cool down…' }).click();
  await question.getByLabel('Model').selectOption('medium');
  await question.getByRole('button', { name: 'Cool down' }).click();
  await page.locator('.key[data-id="cirrus#2"][data-state="cooling"]').waitFor();
  await close(page);
});

test('a key and a provider are added by the forms, and taken away after a question', async () => {
  const open_to_additions = await house.gateway(`
additions: {allow: true}
llm:
  default_model: home
  providers:
    - {name: home, base_url: "${upstream.url}", model: medium, api_key: h-1}
`);
  try {
    const page = await open({}, open_to_additions.admin);
    const section = page.locator('#added');
    const key = page.getByRole('form', { name: 'Add a key' });
    await key.waitFor();
    await seen(section, 'Nothing was added.');
    // What cannot work is told where it was typed, and changes nothing.
    await key.getByLabel('Reference').fill('env:NOT_SET');
    await key.getByRole('button', { name: 'Add the key' }).click();
    await key.getByRole('alert').filter({ hasText: 'no key is there' }).waitFor();
    assert.equal(await page.locator('.key').count(), 1);
    await key.getByLabel('Reference').fill('');
    await key.getByLabel('or the key itself').fill('h-2');
    await key.getByRole('button', { name: 'Add the key' }).click();
    await seen(page.locator('#toasts'), /home#2 is added, for this process only/);
    await page.locator('.key[data-id="home#2"]').waitFor();
    assert.equal(await key.getByLabel('or the key itself').inputValue(), '');
    const provider = page.getByRole('form', { name: 'Add a provider' });
    await provider.getByLabel('Name').fill('more');
    await provider.getByLabel('Base URL').fill(upstream.url);
    await provider.getByLabel('Model').fill('medium');
    await provider.getByLabel('or itself').fill('m-1');
    await provider.getByRole('button', { name: 'Add the provider' }).click();
    await page.getByRole('button', { name: 'more', exact: true }).waitFor();
    assert.equal((await house.chat(open_to_additions.data, 'more')).status, 200);
    assert.equal(await section.locator('#additions li').count(), 3);
    assert.ok(!(await page.content()).includes('h-2') && !(await section.textContent()).includes('m-1'));
    await audit(page);
    await section.getByRole('button', { name: 'Take provider more away…' }).click();
    const question = page.locator('#order');
    await seen(question, 'Take provider more away?');
    assert.equal(await focused(page), 'Cancel');
    await question.getByRole('button', { name: 'Take away' }).click();
    await seen(page.locator('#toasts'), 'Provider more is taken away');
    await page.waitForFunction(() => document.querySelectorAll('#additions li').length === 1);
    assert.equal((await house.chat(open_to_additions.data, 'more')).status, 404);
    await close(page);
  } finally {
    await open_to_additions.stop();
  }
  // Where nothing may be added there is no form.
  const page = await open();
  await page.locator('#link[data-link="live"]').waitFor();
  assert.equal(await page.locator('#added').isVisible(), false);
  await close(page);
});

test('with the keyboard alone: a provider is held and released', async () => {
  const page = await open();
  await page.getByRole('button', { name: 'reserve', exact: true }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'Skip to the actors');
  await page.keyboard.press('Enter');
  await tabTo(page, 'reserve');
  await page.keyboard.press('Enter');
  await tabTo(page, 'Hold…');
  await page.keyboard.press('Enter');
  await page.locator('#order[open]').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'order-for');
  await page.keyboard.type('10m');
  await page.keyboard.press('Enter');
  await page.locator('.provider', { hasText: 'reserve' }).locator('[data-state="held"]').first().waitFor();
  await tabTo(page, 'Release…');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await seen(page.locator('#toasts'), 'reserve is released');
  await page.keyboard.press('Escape');
  // Back where it began; the keys of a provider are one stop, and arrows move among them.
  assert.equal(await focused(page), 'reserve');
  await page.locator('.key[data-id="boreal#1"]').focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.id), 'boreal#3');
  await page.keyboard.press('End');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.id), 'boreal#7');
  await close(page);
});

test('light and dark, without a fault of accessibility', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const page = await open({ colorScheme });
    await page.locator('.route').first().waitFor();
    await page.locator('#requests tr').first().waitFor();
    await page.waitForFunction(() => [...document.querySelectorAll('.chart .value')].every((it) => /\d/.test(it.textContent)));
    const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(light === 'rgb(13, 17, 22)', colorScheme === 'dark', light);
    await audit(page);
    await shot(page, colorScheme === 'dark' ? 'page-dark' : 'page-light');
    // The button comes before the system.
    const button = page.locator('#theme');
    while (!(await button.textContent()).includes(colorScheme === 'dark' ? 'Light' : 'Dark')) await button.click();
    const other = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.notEqual(other, light);
    await close(page);
  }
});

test('1,000 keys cost a few milliseconds for each change', async () => {
  const real = await (await fetch(`${gateway.admin}/admin/v1/state`)).json();
  let round = 0;
  const prepare = (page) => page.route('**/admin/v1/state', (route) => route.fulfill({ json: madeUp.crowded(real, 1000, Math.floor(round++ / 2)) }));
  const page = await open({}, gateway.admin, prepare);
  await page.waitForFunction(() => document.querySelectorAll('.key').length === 1000);
  const client = await page.context().newCDPSession(page);
  await client.send('Performance.enable');
  const measured = async () => Object.fromEntries((await client.send('Performance.getMetrics')).metrics.map((it) => [it.name, it.value]));
  const start = await measured();
  await page.waitForFunction(() => performance.getEntriesByName('state').length >= 4, null, { timeout: 30_000 });
  const end = await measured();
  const times = await page.evaluate(() => performance.getEntriesByName('state').map((it) => it.duration));
  const [first, ...later] = times.map((it) => Math.round(it * 10) / 10);
  const spent = (name) => ((end[name] - start[name]) * 1000).toFixed(0);
  console.log(`1,000 keys: first ${first} ms, then ${later.join(', ')} ms of script; in ${(end.Timestamp - start.Timestamp).toFixed(1)} s script ${spent('ScriptDuration')} ms, layout ${spent('LayoutDuration')} ms, style ${spent('RecalcStyleDuration')} ms`);
  assert.ok(Math.max(...later) < 50, later.join());
  await shot(page, 'page-1000-keys');
  await close(page);
});

test('asks for a token where one is needed, and tells when nobody answers', async () => {
  const token = 'a-token-for-the-page';
  const guarded = await house.gateway(`server: {admin_token: ${token}}\nllm: {providers: [{name: echo}]}`);
  try {
    const page = await open({}, guarded.admin);
    await page.getByRole('dialog', { name: 'Admin token' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByLabel('Token', { exact: true }).fill('wrong');
    await page.keyboard.press('Enter');
    await seen(page, 'That token is not valid here.');
    await page.getByLabel('Token', { exact: true }).fill(token);
    await page.keyboard.press('Enter');
    await page.locator('#link[data-link="live"]').waitFor();
    await page.getByRole('button', { name: 'echo', exact: true }).waitFor();
    await page.reload();
    await page.locator('#link[data-link="live"]').waitFor();
    // By the page the process ends as on SIGTERM.
    await page.locator('#do-drain').click();
    await seen(page, 'Drain and end the process?');
    assert.equal(await focused(page), 'Cancel');
    await page.getByRole('button', { name: 'Drain and end' }).click();
    await page.locator('#link[data-link="lost"]').waitFor({ timeout: 20_000 });
    page.complaints = page.complaints.filter((it) => !it.includes('ERR_'));
    await close(page);
  } finally {
    await guarded.stop();
  }
});

test('the demonstration, as a newcomer sees it', async () => {
  const demo = await house.gateway();
  try {
    for (let n = 0; n < 20; n += 1) await house.chat(demo.data, 'demo');
    const page = await open({}, demo.admin);
    await page.getByRole('button', { name: 'flaky', exact: true }).waitFor();
    await page.locator('.route', { hasText: 'demo' }).filter({ hasText: 'failed' }).waitFor();
    await close(page);
  } finally {
    await demo.stop();
  }
});

async function state(id) {
  const { providers } = await (await fetch(`${gateway.admin}/admin/v1/state`)).json();
  return providers.flatMap((it) => it.keys).find((it) => it.id === id);
}

const focused = (page) => page.evaluate(() => document.activeElement.textContent.trim());

async function tabTo(page, text) {
  for (let n = 0; n < 40; n += 1) {
    if ((await focused(page)) === text) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`Tab does not come to ${text}`);
}
