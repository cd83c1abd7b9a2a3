// What policies rank by, and money, in words.

import { el, millis, said } from './dom.js';

/** A decimal amount as people read it; it comes as a text, because money is no float. */
export function money(text) {
  if (text === null || text === undefined) return '–';
  const [whole, part = ''] = String(text).split('.');
  if (whole.length > 6) return `${(Number(whole) / 1_000_000).toFixed(1)}M`;
  if (whole !== '0') return `${whole}.${part.padEnd(2, '0').slice(0, 2)}`;
  const short = part.replace(/0+$/, '');
  if (short === '') return '0';
  // Three digits after the zeros say enough.
  const zeros = short.search(/[1-9]/);
  return `0.${short.slice(0, Math.max(2, zeros + 3)).padEnd(2, '0')}`;
}

const percent = (share) => `${Math.round(share * 1000) / 10} %`;

/** The number that a member was ranked by: `{cost: "0.00045"}`. */
export function figure(known) {
  if (!known) return '';
  const [[name, value]] = Object.entries(known);
  if (value === null) return `${said(name)} unknown`;
  switch (name) {
    case 'cost':
      return `cost ${money(value)}`;
    case 'load_seconds':
      return `load ${millis(value * 1000)}`;
    case 'in_flight_per_weight':
      return `${Math.round(value * 100) / 100} in flight`;
    case 'used_share':
      return `${percent(value)} used`;
    case 'score':
      return `score ${Math.round(value * 100) / 100}`;
    default:
      return `${said(name)} ${value}`;
  }
}

export const share = (value) => (value === null || value === undefined ? '–' : percent(value));

/** Where a conversation belongs among the keys of an upstream, and why it went elsewhere. */
export function keyHome({ home, account, over_bound: full, reason, outcome }) {
  const at = `The conversation belongs to ${home}${account ? ` of account ${account}` : ''}`;
  if (outcome === 'home') return `${at}.`;
  if (reason) return `${at}, which is out: ${said(reason)}.`;
  return full ? `${at}, which has its share of the requests.` : `${at}.`;
}

/** How a target ranked its members. */
export function ranking(step) {
  const { affinity, hints } = step;
  const by = hints ? `by what the request says: ${hints}` : affinity ? `by the conversation, at home at ${affinity.home}${affinity.over_bound ? ', which has its share already' : ''}` : `by ${step.policy}`;
  return el(
    'div',
    { class: 'ranking' },
    el('p', {}, el('strong', { text: step.target }), el('span', { class: 'soft', text: ` ranked ${by}` })),
    members(step.members),
  );
}

/** Members in their order; those that were left out have the reason instead of a place. */
export function members(all) {
  return el('ol', { class: 'members' }, ...all.map(member));
}

function member(it) {
  const out = it.reason !== null && it.reason !== undefined;
  return el(
    'li',
    { data: out ? { out: '' } : {} },
    el('span', { class: out ? 'mark' : '', data: out ? { state: 'held' } : {}, text: it.name }),
    el('span', { class: 'soft', text: out ? (it.detail ?? said(it.reason)) : figure(it.figure) }),
    it.priority === 100 ? null : el('span', { class: 'soft', text: `tier ${it.priority}` }),
  );
}
