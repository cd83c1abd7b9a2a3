// The SDK `@anthropic-ai/sdk`.

import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import { all, ASKED, counted, FAILURE, GREETING, LARGE, PICTURE, PLACE, same, SCHEMA, SEEN, SIGNED, thrown, TOKEN, TOLD, told, URL, waits, weather } from './node_common.mjs';

const made = (apiKey) => new Anthropic({ baseURL: URL, apiKey, maxRetries: 0, timeout: 20000 });
const client = made(TOKEN);
const tools = [{ name: 'weather', description: 'The weather.', input_schema: SCHEMA }];
const thinking = { type: 'enabled', budget_tokens: 2000 };

const asked = (model, content = 'hello', more = {}) => ({ model, max_tokens: 4000, messages: [{ role: 'user', content }], ...more });
const ask = (...what) => client.messages.create(asked(...what));
const streamed = (...what) => client.messages.stream(asked(...what)).finalMessage();

/** Both turns, the first one as `first` asks for it. */
async function turns(first, model, text, more) {
  const answer = await first(model, text, { tools, ...more });
  same(answer.stop_reason, 'tool_use');
  const calls = answer.content.filter((block) => block.type === 'tool_use');
  const results = calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: weather(call.input) }));
  const messages = [{ role: 'user', content: text }, { role: 'assistant', content: answer.content }, { role: 'user', content: results }];
  same((await ask(model, text, { tools, ...more, messages })).content.at(-1).text, TOLD);
  return answer;
}

/** The first block is what the model thought; without words it is one that only its maker can read. */
function thought(model, answer) {
  const [block] = answer.content;
  same([block.type, block.thinking ?? ''], told(model) ? ['thinking', told(model)] : ['redacted_thinking', '']);
}

export const anthropic = {
  name: 'node anthropic',
  checks: {
    async chat(model) {
      const answer = await ask(model, 'hello', { system: 'Be kind.' });
      same(answer.content.map((block) => block.text), [GREETING]);
      same([answer.stop_reason, answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens], ['end_turn', 12, 8, 10]);
    },
    async stream(model) {
      const stream = client.messages.stream(asked(model));
      same(await stream.finalText(), GREETING);
      const answer = await stream.finalMessage();
      same([answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens], ['end_turn', 12, 10]);
    },
    tools: (model) => turns(ask, model, ASKED),
    'tools streamed': (model) => turns(streamed, model, ASKED),
    thinking: async (model) => thought(model, await turns(ask, model, SIGNED, { thinking })),
    'thinking streamed': async (model) => thought(model, await turns(streamed, model, SIGNED, { thinking })),
    async structured(model) {
      const format = zodOutputFormat(z.object({ city: z.string(), population: z.number() }));
      const answer = await client.messages.parse(asked(model, 'Where?', { output_config: { format } }));
      same(answer.parsed_output, PLACE);
    },
    async vision(model) {
      const source = { type: 'base64', media_type: 'image/png', data: PICTURE };
      same((await ask(model, [{ type: 'image', source }, { type: 'text', text: 'What is it?' }])).content[0].text, SEEN);
    },
    async errors(model) {
      const error = await thrown(Anthropic.BadRequestError, () => ask(`${model}-400`));
      if (!error.message.includes(FAILURE)) throw new Error(error.message);
      waits((await thrown(Anthropic.RateLimitError, () => ask(`${model}-429`))).headers);
      await thrown(Anthropic.InternalServerError, () => ask(`${model}-503`));
      await thrown(Anthropic.InternalServerError, () => ask(`${model}-529`));
      same((await thrown(Anthropic.ContentTooLargeError, () => ask(model, LARGE))).status, 413);
      await thrown(Anthropic.AuthenticationError, () => made('wrong').models.list());
      same((await thrown(Anthropic.NotFoundError, () => ask('nothing-like-that'))).error.error.type, 'not_found_error');
    },
    broken: (model) => thrown(Anthropic.APIError, async () => all(await ask(model, 'break off', { stream: true }))),
    async models(model) {
      const own = (await all(client.models.list())).find((one) => one.id.startsWith(`${model}:`));
      same([own.type, (await client.models.retrieve(own.id)).id], ['model', own.id]);
    },
    count: async (model) => counted(model, (await client.messages.countTokens({ model, messages: [{ role: 'user', content: 'hello' }] })).input_tokens),
  },
};
