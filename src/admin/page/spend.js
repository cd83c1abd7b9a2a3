// What was spent on whom, and how budgets stand.

import { arrange, byId, count, countDown, el, mark, put, said, span } from './dom.js';
import { money } from './figures.js';
import { call } from './wire.js';

/** Rows that are shown; the sums of the others are in the CSV. */
const SHOWN = 1000;
/** From this share on a budget is marked. */
const [NEAR, FULL] = [0.8, 1];

export class Spend {
  constructor() {
    this.body = byId('spend');
    this.rows = new Map();
    this.budgets = new Map();
    this.asked = '';
    const again = () => this.poll();
    for (const input of document.querySelectorAll('input[name="spend-by"]')) input.addEventListener('change', again);
    byId('spend-days').addEventListener('change', again);
  }

  async poll() {
    const by = [...document.querySelectorAll('input[name="spend-by"]:checked')].map((it) => it.value);
    const query = new URLSearchParams({ by: by.join(','), days: byId('spend-days').value });
    const asked = query.toString();
    this.asked = asked;
    let answer;
    try {
      answer = await call('GET', `/admin/v1/spend?${asked}`);
    } catch (error) {
      put(byId('spend-note'), error.status === 0 ? '' : error.message);
      return;
    }
    if (this.asked !== asked) return;
    const began = performance.now();
    this.showRows(answer);
    this.showBudgets(answer.budgets);
    performance.measure('spend', { start: began });
  }

  showRows({ by, rows }) {
    // For the order and the bars only: amounts stay texts.
    const costs = new Map(rows.map((row) => [row, Number(row.cost)]));
    const sorted = [...rows].sort((one, other) => costs.get(other) - costs.get(one));
    const most = Math.max(...costs.values(), 0);
    const columns = by.join();
    if (columns !== this.columns) {
      this.columns = columns;
      this.rows.clear();
      const names = by.map((name) => el('th', { scope: 'col', text: said(name).replace(/^./, (first) => first.toUpperCase()) }));
      byId('spend-head').replaceChildren(...names, ...['Cost', 'Estimated', 'Requests', 'Attempts'].map((text) => el('th', { scope: 'col', class: 'num', text })), el('th', { scope: 'col' }, el('span', { class: 'sr', text: 'Share of the largest' })));
    }
    const seen = new Set();
    const nodes = sorted.slice(0, SHOWN).map((row) => {
      const names = by.map((name) => row[name]);
      const id = JSON.stringify(names);
      seen.add(id);
      if (!this.rows.has(id)) this.rows.set(id, new Row(by, names));
      const line = this.rows.get(id);
      line.update(row, most > 0 ? costs.get(row) / most : 0);
      return line.box;
    });
    for (const id of this.rows.keys()) if (!seen.has(id)) this.rows.delete(id);
    arrange(this.body, nodes);
    byId('spend-empty').hidden = nodes.length > 0;
    put(byId('spend-note'), rows.length > SHOWN ? `the dearest ${count(SHOWN)} of ${count(rows.length)}; all: /admin/v1/spend?format=csv` : '');
  }

  showBudgets(budgets) {
    const seen = new Set();
    const nodes = budgets.map((budget, at) => {
      const id = `${at} ${budget.of} ${budget.name} ${budget.every}`;
      seen.add(id);
      if (!this.budgets.has(id)) this.budgets.set(id, new Budget(budget));
      const bar = this.budgets.get(id);
      bar.update(budget);
      return bar.box;
    });
    for (const id of this.budgets.keys()) if (!seen.has(id)) this.budgets.delete(id);
    arrange(byId('budgets'), nodes);
    byId('budgets-empty').hidden = nodes.length > 0;
  }
}

class Row {
  constructor(by, names) {
    this.sums = ['cost', 'estimated', 'requests', 'attempts'].map((name) => [name, el('td', { class: 'num' })]);
    this.bar = el('span', { class: 'flow' });
    const cells = names.map((name, at) => el('td', { text: name || (by[at] === 'client' ? 'no client' : '–') }));
    const track = el('span', { class: 'track', 'aria-hidden': 'true' }, this.bar);
    this.box = el('tr', {}, ...cells, ...this.sums.map(([, cell]) => cell), el('td', { class: 'bar-cell' }, track));
  }

  update(row, part) {
    const signature = `${row.cost} ${row.estimated} ${row.requests} ${row.attempts} ${part}`;
    if (signature === this.shown) return;
    this.shown = signature;
    for (const [name, cell] of this.sums) {
      const isMoney = name === 'cost' || name === 'estimated';
      put(cell, isMoney ? money(row[name]) : count(row[name]));
      if (isMoney) mark(cell, 'title', row[name]);
    }
    this.bar.style.setProperty('width', `${Math.round(part * 1000) / 10}%`);
  }
}

class Budget {
  constructor(budget) {
    const name = budget.of === 'all' ? 'All requests' : `${budget.of} ${budget.name}`;
    this.state = el('span', { class: 'mark', text: name });
    this.text = el('span', { class: 'num' });
    this.spent = el('span', { class: 'flow' });
    this.reserved = el('span', { class: 'flow reserved' });
    this.ends = el('span', {});
    this.facts = el('span', {});
    const track = el('div', { class: 'track', 'aria-hidden': 'true' }, this.spent, this.reserved);
    this.box = el(
      'li',
      { class: 'budget' },
      el('div', { class: 'budget-head' }, this.state, this.text),
      track,
      el('p', { class: 'soft' }, this.facts, this.ends),
    );
  }

  update(budget) {
    const signature = JSON.stringify(budget);
    if (signature === this.shown) return;
    this.shown = signature;
    const amount = Number(budget.amount);
    const part = (value) => (amount > 0 ? Number(value) / amount : 1);
    const taken = part(budget.spent);
    const [state, word] = taken >= FULL ? ['down', 'used up'] : taken >= NEAR ? ['cooling', 'nearly used up'] : ['usable', ''];
    mark(this.state, 'data-state', state);
    mark(this.box, 'data-state', state);
    put(this.text, `${money(budget.spent)} of ${money(budget.amount)}${word ? `, ${word}` : ''}`);
    const width = (value) => `${Math.round(Math.min(1, Math.max(0, value)) * 1000) / 10}%`;
    this.spent.style.setProperty('width', width(taken));
    this.reserved.style.setProperty('width', width(Math.min(part(budget.reserved), 1 - taken)));
    const facts = [
      `${budget.mode}, ${budget.every}${budget.timezone === 'UTC' ? '' : ` in ${budget.timezone}`}`,
      `${money(budget.reserved)} reserved`,
      Number(budget.over_run) > 0 && `${money(budget.over_run)} over`,
      budget.then && `then ${budget.then}`,
    ];
    put(this.facts, facts.filter(Boolean).join(' · '));
    countDown(this.ends, budget.ends_at === null ? null : Math.max(0, budget.ends_at - Date.now() / 1000), (left) => ` · next window in ${span(left)}`);
    if (budget.ends_at === null) put(this.ends, '');
  }
}
