// The last quarter of an hour as four small charts. Lines differ by dashes as well as by colour.

import { clock, count, el, millis, put, svg } from './dom.js';

/** The drawing's own units; it is stretched to the place it has. */
const [WIDTH, HEIGHT] = [360, 100];
/** There is room for so many steps at least, however young the process is. */
const LEAST = 24;
/** Quiet steps up to this many are bridged. */
const BRIDGE = 12;

const perSecond = (value) => `${value === null ? '–' : count(value)}/s`;

const CHARTS = [
  {
    name: 'Requests',
    unit: perSecond,
    floor: 1,
    area: true,
    lines: [
      { name: 'requests', of: (point, step) => point.requests / step },
      { name: 'failovers', of: (point, step) => point.failovers / step, dash: '4 3' },
    ],
  },
  {
    name: 'Time to answer',
    unit: millis,
    floor: 10,
    lines: [
      { name: 'p50', of: (point) => point.p50_ms },
      { name: 'p95', of: (point) => point.p95_ms, dash: '5 3' },
      { name: 'p99', of: (point) => point.p99_ms, dash: '1.5 3' },
    ],
  },
  {
    name: 'First token',
    unit: millis,
    floor: 10,
    lines: [
      { name: 'p50', of: (point) => point.first_token_p50_ms },
      { name: 'p95', of: (point) => point.first_token_p95_ms, dash: '5 3' },
    ],
  },
  {
    name: 'Errors',
    unit: perSecond,
    floor: 0.2,
    bars: true,
    lines: [{ name: 'failed', of: (point, step) => point.failed / step, bad: true }],
  },
];

export class Charts {
  constructor(box) {
    this.charts = CHARTS.map((plan) => new Chart(plan));
    box.append(...this.charts.map((it) => it.box));
  }

  /** The last point is still under way and would look like a dip: it is left out. */
  show({ points, step_seconds: step }) {
    const whole = points.slice(0, -1);
    for (const chart of this.charts) chart.show(whole, step);
  }
}

class Chart {
  constructor(plan) {
    this.plan = plan;
    this.points = [];
    this.at = null;
    this.value = el('output', { class: 'value', text: '–' });
    this.top = el('span', { class: 'axis top', 'aria-hidden': 'true' });
    this.paths = plan.lines.map((line, at) => svg('path', { class: `line l${at}${line.bad ? ' bad' : ''}`, 'stroke-dasharray': line.dash }));
    this.area = plan.area || plan.bars ? svg('path', { class: plan.bars ? 'bars' : 'area' }) : null;
    this.cross = svg('line', { class: 'cross', y1: 0, y2: HEIGHT, visibility: 'hidden' });
    const grid = [25, 50, 75].map((y) => svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: y, y2: y }));
    const drawn = plan.bars ? [] : this.paths;
    const drawing = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, ...grid, ...[this.area].filter(Boolean), ...drawn, this.cross);
    this.plot = el('div', { class: 'plot', tabindex: '0', role: 'img' }, drawing, this.top);
    const legend = plan.lines.map((line, at) =>
      el(
        'li',
        {},
        svg('svg', { viewBox: '0 0 18 6', width: 18, height: 6, 'aria-hidden': 'true' }, svg('path', { class: `line l${at}${line.bad ? ' bad' : ''}`, d: 'M0 3h18', 'stroke-dasharray': line.dash })),
        line.name,
      ),
    );
    this.since = el('span', {});
    const feet = el('div', { class: 'feet', 'aria-hidden': 'true' }, this.since, el('span', { text: 'now' }));
    this.box = el('figure', { class: 'chart' }, el('figcaption', {}, el('span', { text: plan.name }), this.value), this.plot, feet, el('ul', { class: 'lines' }, ...legend));
    this.plot.addEventListener('pointermove', (event) => {
      const box = this.plot.getBoundingClientRect();
      const room = Math.max(LEAST, this.points.length);
      this.point(Math.round(((event.clientX - box.left) / box.width) * (room - 1)) - room + this.points.length);
    });
    this.plot.addEventListener('pointerleave', () => this.point(null));
    this.plot.addEventListener('blur', () => this.point(null));
    this.plot.addEventListener('keydown', (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12 }[event.key];
      if (!move) return;
      event.preventDefault();
      this.point((this.at ?? this.points.length - (move > 0 ? 2 : 0)) + move);
    });
  }

  show(points, step) {
    const { lines, unit, floor, bars } = this.plan;
    this.points = points;
    const room = Math.max(LEAST, points.length);
    const back = `${Math.round((room * step) / 60)} min`;
    put(this.since, `${back} ago`);
    this.series = lines.map((line) => points.map((point) => line.of(point, step)));
    const most = Math.max(0, ...this.series.flat().filter((value) => value !== null));
    this.most = round(Math.max(most, floor));
    put(this.top, unit(this.most));
    const x = (at) => ((at + room - points.length) / (room - 1)) * WIDTH;
    const y = (value) => HEIGHT - (value / this.most) * (HEIGHT - 2) - 1;
    this.x = x;
    if (!bars) this.series.forEach((values, at) => this.paths[at].setAttribute('d', path(values, x, y)));
    if (this.area && bars) this.area.setAttribute('d', columns(this.series[0], room, y));
    else if (this.area) this.area.setAttribute('d', `M${x(0).toFixed(1)} ${HEIGHT}${this.series[0].map((value, at) => `L${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('')}L${WIDTH} ${HEIGHT}Z`);
    const last = this.series.map((values) => values.findLast((value) => value !== null) ?? null);
    const said = lines.map((line, at) => `${line.name} ${unit(last[at])}`).join(', ');
    this.plot.setAttribute('aria-label', `${this.plan.name}, last ${back}: now ${said}; at most ${unit(most)}. Arrow keys read single moments.`);
    this.point(this.at);
  }

  /** Reads one moment; `null`: the latest. */
  point(at) {
    const points = this.points.length;
    if (points === 0) return;
    const { lines, unit } = this.plan;
    this.at = at === null ? null : Math.min(points - 1, Math.max(0, at));
    if (this.at === null) {
      this.cross.setAttribute('visibility', 'hidden');
      // A rate of now; a time of the last request that there was.
      put(this.value, unit(this.series[0].findLast((value) => value !== null) ?? null));
      return;
    }
    const x = this.x(this.at).toFixed(1);
    this.cross.setAttribute('x1', x);
    this.cross.setAttribute('x2', x);
    this.cross.setAttribute('visibility', 'visible');
    const said = lines.map((line, n) => `${lines.length > 1 ? `${line.name} ` : ''}${unit(this.series[n][this.at])}`);
    put(this.value, `${clock(this.points[this.at].at)}  ${said.join('  ')}`);
  }
}

/** The next round number at or above. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value * 0.999) * power;
}

function path(values, x, y) {
  let text = '';
  let before = null;
  values.forEach((value, at) => {
    if (value === null) return;
    const joined = before !== null && at - before <= BRIDGE;
    text += `${joined ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}${joined ? '' : 'h.01'}`;
    before = at;
  });
  return text;
}

function columns(values, room, y) {
  const wide = (WIDTH / room) * 0.8;
  const x = (at) => ((at + room - values.length) / room) * WIDTH;
  const column = (value, at) => (value > 0 ? `M${x(at).toFixed(1)} ${HEIGHT}V${Math.min(y(value), HEIGHT - 2).toFixed(1)}h${wide.toFixed(1)}V${HEIGHT}Z` : '');
  return values.map(column).join('');
}
