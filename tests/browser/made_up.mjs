// Answers for what is shown of requests, each kind of try once, and a state with very many keys.

const at = (n) => new Date(Date.UTC(2026, 10, 21, 16, 1, 40) - n * 1700).toISOString();

/** The story of one that was tried in every way. */
export const story = {
  number: 4711,
  id: 'req_4711',
  at: at(0),
  client: 'ci',
  operation: 'chat/completions',
  stream: true,
  target: 'smart',
  outcome: 'answered',
  status: 200,
  upstream: 'cirrus:medium',
  key: 'cirrus#1',
  attempts: 4,
  total_ms: 1412.4,
  first_token_ms: 980.2,
  prompt_tokens: 812,
  completion_tokens: 140,
  trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
  cost: '0.000450',
  cost_kind: 'estimated',
  chain: ['atlas:shaky', 'boreal:large', 'cirrus:medium'],
  routing: {
    seed: 4711,
    ranking: [
      {
        target: 'smart', policy: 'cost', by: 'policy', affinity: null,
        members: [
          { name: 'atlas:shaky', priority: 100, figure: { cost: '0.000450' }, reason: null, detail: null },
          { name: 'cirrus:medium', priority: 200, figure: { cost: null }, reason: null, detail: null },
          { name: 'atlas:tiny', priority: 100, figure: null, reason: 'lacks_tools', detail: 'the model has no tools' },
        ],
      },
    ],
    place: 3,
    affinity: { home: 'atlas:shaky', outcome: 'moved', warm: true },
    left_out: [{ upstream: 'atlas:tiny', reason: 'lacks_tools' }],
    budget: {
      reserved: '0.004200', soft: false, steered_by: null,
      tightest: { budget: 'the budget of client `ci`', amount: '5.000000', spent: '3.200000', reserved: '0.100000' },
    },
  },
  tries: [
    {
      upstream: 'atlas:shaky', key: 'atlas#1', attempt_reason: 'first', passed_over: [], asked_ms: 0.1, waited_ms: 0, started_ms: 0.3,
      first_byte_ms: 118.2, first_token_ms: null, ended_ms: 120.1, outcome:  'rate_limited', status: 429, detail: 'rate_limit_exceeded: retry in 45 s',
    },
    {
      upstream: 'atlas:shaky', key: 'atlas#2', attempt_reason: 'next_key', passed_over: [], asked_ms: 120.2, waited_ms: 0, started_ms: 120.4,
      first_byte_ms: 260.7, first_token_ms: null, ended_ms: 261.2, outcome:  'overloaded', status: 503, detail: '<b onclick="alert(1)">not markup</b>',
    },
    {
      upstream: 'atlas:shaky', key: 'atlas#3', attempt_reason: 'retry', passed_over: [], asked_ms: 261.4, waited_ms: 250, started_ms: 511.6,
      first_byte_ms: null, first_token_ms: null, ended_ms: 842.9, outcome:  'cancelled', status: null, detail: null,
    },
    {
      upstream: 'cirrus:medium', key: 'cirrus#1', attempt_reason: 'hedge', passed_over: [{ upstream: 'boreal:large', reason: 'breaker_open', until: at(-8) }],
      asked_ms: 700.1, waited_ms: 0, started_ms: 700.4, first_byte_ms: 902.3, first_token_ms: 980.2, ended_ms: 1412.2, outcome:  'success', status: 200, detail: null,
    },
  ],
  refused: null,
};

/** One that nobody could take. */
export const refused = {
  ...story, number: 4709, id: 'req_4709', outcome: 'upstreams_rate_limited', status: 429, stream: false, upstream: null, key: null, attempts: 0,
  total_ms: 2.1, first_token_ms: null, prompt_tokens: null, completion_tokens: null, trace_id: null, client: null, tries: [],
  refused: {
    at_ms: 1.9, cause: 'too_late',
    declined: [{ upstream: 'atlas:shaky', reason: 'cooling', until: at(-30) }, { upstream: 'boreal:large', reason: 'breaker_open', until: at(-8) }],
  },
};

const { chain, tries, routing: why, refused: none, ...summary } = story;
const { chain: c, tries: t, routing: w, refused: r, ...declined } = refused;

export const list = {
  kept: 1000,
  latest: 4711,
  requests: [
    summary,
    { ...summary, number: 4710, id: 'req_4710', at: at(1), attempts: 1, upstream: 'atlas:shaky', key: 'atlas#4', total_ms: 231.9, first_token_ms: 88.1 },
    { ...declined, at: at(2) },
    { ...summary, number: 4708, id: 'req_4708', at: at(3), outcome: 'caller_left', status: null, attempts: 1, upstream: 'boreal:large', key: 'boreal#2', total_ms: 5012.7, first_token_ms: null },
  ],
};

export const answer = {
  target: 'smart',
  answer: 'goes_now',
  would_wait_ms: 0,
  code: null,
  candidates: [
    {
      place: 1, upstream: 'atlas:shaky', verdict: 'excluded', reason: 'breaker_open', until: at(-12), seconds_left: 12, detail: 'the breaker is open',
      keys: [{ id: 'atlas#1', verdict: 'excluded', reason: 'cooling', until: at(-44), seconds_left: 44 }],
    },
    {
      place: 2, upstream: 'boreal:large', verdict: 'chosen', reason: null, until: null, seconds_left: null, detail: 'takes it',
      keys: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => ({ id: `boreal#${n}`, verdict: n === 3 ? 'first' : 'ready', reason: null, until: null, seconds_left: null })),
    },
    { place: 3, upstream: 'cirrus:medium', verdict: 'next', reason: null, until: null, seconds_left: null, detail: 'if those before it fail', keys: [] },
  ],
};

const ENDS = Math.floor(Date.now() / 1000) + 3600;
const money = (millionths) => (millionths / 1e6).toFixed(6);

/** So many sums and budgets, of which a share changes with every `round`. */
export function spending(rows, round) {
  const all = Array.from({ length: rows }, (_, n) => n);
  return {
    by: ['client', 'target'], days: 7, most_rows: 4096,
    rows: all.map((n) => ({
      client: `team-${n % 40}`, target: `target-${n}`, cost: money(n * 1000 + (n % 5 === 0 ? round : 0)), estimated: money(n), requests: n + (n % 5 === 0 ? round : 0), attempts: n,
    })),
    budgets: all.map((n) => ({
      of: 'client', name: `client-${n}`, every: 'day', timezone: 'UTC', mode: n % 2 ? 'hard' : 'soft', amount: '5.000000', then: null,
      spent: money((n * 6000 + (n % 5 === 0 ? round * 1000 : 0)) % 6_000_000), reserved: money(n * 100), over_run: '0.000000', ends_at: ENDS,
    })),
  };
}

/** The figures of so many upstreams, likewise. */
export function routing(upstreams, round) {
  const all = Array.from({ length: upstreams }, (_, n) => n);
  return {
    prompt_tokens: 1000, more_targets: 0, more_upstreams: 0,
    targets: all.slice(0, 100).map((n) => ({
      name: `target-${n}`, policy: 'latency', affinity: null, more_members: 0,
      members: [0, 1, 2].map((at) => ({ name: `p${n}:m${at}`, priority: 100, figure: { load_seconds: 0.1 * at + (n % 5 === 0 ? round / 1000 : 0) }, reason: null, detail: null })),
    })),
    upstreams: all.map((n) => ({
      upstream: `p${n}:m`, pending: n % 7, provider_in_flight: n % 9, stream_ms: 100 + (n % 5 === 0 ? round : 0), whole_ms: null, per_token_ms: 20, used_share: (n % 100) / 100,
      expected_output_tokens: 500, context_window: 131_072,
      price: n % 3 === 0 ? null : { input: '0.15', output: '0.6', cached_input: null, cache_write: null, more: false, source: 'configuration' },
    })),
  };
}

/** This state with so many keys, of which a share changes with every `round`. */
export function crowded(state, keys, round) {
  const moment = (left) => ({ at: new Date(1.8e12 + left * 1000).toISOString(), seconds_left: left });
  const key = (provider, n) => {
    const turn = (n * 7 + round) % 23;
    const cooling = turn < 4 ? [{ model: null, reason: 'cooling', until: moment(20 + ((n * 13) % 70)) }] : [];
    return {
      id: `${provider}#${n}`, life: 'up', restarts: 0,
      state: turn < 4 ? 'cooling' : turn === 5 ? 'held' : turn === 6 && n % 5 === 0 ? 'invalid' : 'usable',
      in_flight: turn > 16 ? turn - 16 : 0, attempts: n * 3 + round,
      hold: turn === 5 ? { until: null } : null,
      invalid: turn === 6 && n % 5 === 0 ? { probe: moment(290) } : null,
      cooling, limits: { rpm: 60, tpm: null, rpd: null, max_in_flight: 8 },
      learned: { max_in_flight: null, limits: [{ model: 'large', unit: 'requests', limit: 60, remaining: 60 - turn, per_minute: null, whole: null }] },
    };
  };
  const each = keys / 4;
  const upstream = (model) => ({ model, breaker: 'closed', open_until: null, gone_until: null, share: 1 });
  const providers = ['atlas', 'boreal', 'cirrus', 'delta'].map((name) => ({
    name, life: 'up', restarts: 0, hold: null, cooling: null, upstreams: [upstream('large'), upstream('small')],
    keys: Array.from({ length: each }, (_, n) => key(name, n + 1)),
  }));
  return { ...state, providers };
}
