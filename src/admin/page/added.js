// Providers and keys that were added while the process runs, the forms that add more, and how they are taken away.

import { byId, el, mark, put, said, toast } from './dom.js';
import { call } from './wire.js';

const MARKS = { active: 'usable', shadowed: 'held', unusable: 'down' };

export class Added {
  /** `ask`: puts a question before an order; `changed`: what to do when something was added. */
  constructor(ask, changed) {
    this.ask = ask;
    this.changed = changed;
    this.shown = '';
    this.form('add-key', (fields) => ({
      path: `/admin/v1/providers/${encodeURIComponent(fields.provider)}/keys`,
      body: { key: fields.key, secret: fields.secret },
      done: (answer) => `${answer.key.keys.join(', ')} is added`,
    }));
    this.form('add-provider', (fields) => ({
      path: '/admin/v1/providers',
      body: {
        name: fields.name,
        base_url: fields.base_url,
        dialect: fields.dialect,
        model: fields.model,
        keys: fields.key ? [fields.key] : undefined,
        secret: fields.secret,
      },
      done: (answer) => `${answer.provider.name} is added`,
    }));
  }

  form(id, order) {
    const form = byId(id);
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      // What is empty is not said.
      const typed = [...new FormData(form)].map(([name, text]) => [name, text.trim() || undefined]);
      const { path, body, done } = order(Object.fromEntries(typed));
      const [wrong, button] = [form.querySelector('.wrong'), form.querySelector('button')];
      put(wrong, '');
      button.disabled = true;
      try {
        const answer = await call('POST', path, body);
        const kept = answer.kept === 'state_file' ? '' : `, for this process only: ${answer.why_not_longer}`;
        toast(`${done(answer)}${kept}`);
        form.reset();
        this.changed();
        await this.poll();
      } catch (error) {
        const mistakes = error.mistakes?.map((it) => [it.message, it.suggestion].filter(Boolean).join('; ')) ?? [];
        put(wrong, [error.message, ...mistakes].join('\n'));
      } finally {
        button.disabled = false;
      }
    });
  }

  /** Offers the providers that there are. */
  offer(state) {
    const names = state.providers.map((it) => it.name);
    const signature = names.join('\n');
    if (signature === this.offered) return;
    this.offered = signature;
    const select = byId('add-key').elements.provider;
    const chosen = select.value;
    select.replaceChildren(...names.map((value) => el('option', { value, text: value })));
    if (names.includes(chosen)) select.value = chosen;
  }

  async poll() {
    try {
      this.show(await call('GET', '/admin/v1/additions'));
    } catch {
      // The state tells whether anybody answers.
    }
  }

  show(all) {
    const none = all.providers.length + all.keys.length === 0;
    byId('added').hidden = none && !all.allowed;
    byId('add-forms').hidden = !all.allowed;
    byId('added-empty').hidden = !none;
    put(byId('added-note'), all.state_file ? 'references are kept in the state file' : 'without state.path all of it ends with this process');
    const signature = JSON.stringify([all.allowed, all.providers, all.keys]);
    if (signature === this.shown) return;
    this.shown = signature;
    const providers = all.providers.map((it) =>
      this.row(it, `Provider ${it.name}`, it.settings.base_url ?? 'built in', `/admin/v1/providers/${encodeURIComponent(it.name)}`, all.allowed),
    );
    const keys = all.keys.map((it) => {
      const path = `/admin/v1/providers/${encodeURIComponent(it.provider)}/keys/${it.id}`;
      const name = `Key ${it.keys.join(', ') || `${it.id} of ${it.provider}`}`;
      return this.row(it, name, it.reference ?? 'given as it is, for this process only', path, all.allowed);
    });
    byId('additions').replaceChildren(...providers, ...keys);
  }

  row(addition, name, from, path, allowed) {
    const state = el('span', { class: 'mark', text: said(addition.state) });
    mark(state, 'data-state', MARKS[addition.state] ?? 'down');
    const why = addition.problems.map((it) => it.message).join('; ');
    const start = () =>
      this.ask({
        title: `Take ${name.toLowerCase()} away?`,
        text: 'It takes no more requests. Attempts under way go on.',
        confirm: 'Take away',
        danger: true,
        method: 'DELETE',
        path,
        done: () => `${name} is taken away`,
      });
    const button = allowed ? el('button', { type: 'button', text: 'Take away…', 'aria-label': `Take ${name.toLowerCase()} away…`, on: { click: start } }) : null;
    return el('li', {}, el('strong', { text: name }), state, el('code', { text: from }), el('span', { class: 'soft', text: why }), button);
  }
}
