// The SDK `openai`: chat completions and Responses.

import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { all, ASKED, counted, FAILURE, GREETING, LARGE, PICTURE, PLACE, same, SCHEMA, SEEN, SIGNED, THOUGHT, thrown, TOKEN, TOLD, told, URL, waits, weather } from './node_common.mjs';

const made = (apiKey) => new OpenAI({ baseURL: `${URL}/v1`, apiKey, maxRetries: 0, timeout: 20000 });
const client = made(TOKEN);
const Place = z.object({ city: z.string(), population: z.number() });
const picture = `data:image/png;base64,${PICTURE}`;

const ask = (model, content = 'hello', more = {}) => client.chat.completions.create({ model, messages: [{ role: 'user', content }], ...more });
const tools = [{ type: 'function', function: { name: 'weather', description: 'The weather.', parameters: SCHEMA } }];

async function turns(model, text, more) {
  const messages = [{ role: 'user', content: text }];
  const first = await client.chat.completions.create({ model, messages, tools, ...more });
  same(first.choices[0].finish_reason, 'tool_calls');
  const { message } = first.choices[0];
  messages.push(message);
  for (const call of message.tool_calls) messages.push({ role: 'tool', tool_call_id: call.id, content: weather(JSON.parse(call.function.arguments)) });
  const second = await client.chat.completions.create({ model, messages, tools, ...more });
  same(second.choices[0].message.content, TOLD);
  return message;
}

async function errors(call, model) {
  const error = await thrown(OpenAI.BadRequestError, () => call(`${model}-400`));
  if (!error.message.includes(FAILURE)) throw new Error(error.message);
  waits((await thrown(OpenAI.RateLimitError, () => call(`${model}-429`))).headers);
  await thrown(OpenAI.InternalServerError, () => call(`${model}-503`));
  await thrown(OpenAI.InternalServerError, () => call(`${model}-529`));
  same((await thrown(OpenAI.APIError, () => call(model, LARGE))).status, 413);
  await thrown(OpenAI.AuthenticationError, () => made('wrong').models.list());
  await thrown(OpenAI.NotFoundError, () => call('nothing-like-that'));
}

export const openai = {
  name: 'node openai chat',
  checks: {
    async chat(model) {
      const answer = await ask(model);
      same([answer.choices[0].message.content, answer.choices[0].finish_reason], [GREETING, 'stop']);
      same([answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.prompt_tokens_details.cached_tokens], [20, 10, 8]);
    },
    async stream(model) {
      const chunks = await all(await ask(model, 'hello', { stream: true, stream_options: { include_usage: true } }));
      same(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), GREETING);
      same(chunks.at(-1).usage.completion_tokens, 10);
    },
    tools: (model) => turns(model, ASKED),
    async runner(model) {
      const run = { ...tools[0].function, parse: JSON.parse, function: weather };
      const runner = client.chat.completions.runTools({ model, stream: true, messages: [{ role: 'user', content: ASKED }], tools: [{ type: 'function', function: run }] });
      same(await runner.finalContent(), TOLD);
    },
    async thinking(model) {
      const message = await turns(model, SIGNED, { reasoning_effort: 'high' });
      same(message.reasoning_content ?? '', told(model));
    },
    async structured(model) {
      const answer = await client.chat.completions.parse({ model, messages: [{ role: 'user', content: 'Where?' }], response_format: zodResponseFormat(Place, 'place') });
      same(answer.choices[0].message.parsed, PLACE);
    },
    async vision(model) {
      const answer = await ask(model, [{ type: 'text', text: 'What is it?' }, { type: 'image_url', image_url: { url: picture } }]);
      same(answer.choices[0].message.content, SEEN);
    },
    errors: (model) => errors(ask, model),
    broken: (model) => thrown(OpenAI.APIError, async () => all(await ask(model, 'break off', { stream: true }))),
    async models(model) {
      const own = (await all(client.models.list())).find((one) => one.id.startsWith(`${model}:`));
      same((await client.models.retrieve(own.id)).id, own.id);
    },
  },
};

const respond = (model, input = 'hello', more = {}) => client.responses.create({ model, input, store: false, ...more });
const flat = [{ type: 'function', ...tools[0].function, strict: true }];

async function items(model, text, more = {}) {
  const input = [{ role: 'user', content: text }];
  const first = await respond(model, input, { tools: flat, ...more });
  input.push(...first.output);
  for (const call of first.output.filter((item) => item.type === 'function_call')) {
    input.push({ type: 'function_call_output', call_id: call.call_id, output: weather(JSON.parse(call.arguments)) });
  }
  same((await respond(model, input, { tools: flat, ...more })).output_text, TOLD);
  return first;
}

export const responses = {
  name: 'node openai responses',
  checks: {
    async chat(model) {
      const answer = await respond(model, 'hello', { instructions: 'Be kind.' });
      same([answer.output_text, answer.status, answer.usage.input_tokens, answer.usage.output_tokens], [GREETING, 'completed', 20, 10]);
    },
    async stream(model) {
      const stream = client.responses.stream({ model, input: 'hello', store: false });
      const events = await all(stream);
      same(events.filter((event) => event.type === 'response.output_text.delta').map((event) => event.delta).join(''), GREETING);
      same((await stream.finalResponse()).output_text, GREETING);
    },
    tools: (model) => items(model, ASKED),
    async thinking(model) {
      const more = { reasoning: { effort: 'high', summary: 'auto' }, include: ['reasoning.encrypted_content'] };
      const item = (await items(model, SIGNED, more)).output.find((one) => one.type === 'reasoning');
      same((item.summary.length > 0 ? item.summary : item.content).map((part) => part.text).join(''), THOUGHT);
    },
    async structured(model) {
      const answer = await client.responses.parse({ model, input: 'Where?', store: false, text: { format: zodTextFormat(Place, 'place') } });
      same(answer.output_parsed, PLACE);
    },
    async vision(model) {
      const content = [{ type: 'input_text', text: 'What is it?' }, { type: 'input_image', image_url: picture, detail: 'auto' }];
      same((await respond(model, [{ role: 'user', content }])).output_text, SEEN);
    },
    errors: (model) => errors(respond, model),
    async broken(model) {
      let last;
      try {
        last = (await all(await respond(model, 'break off', { stream: true }))).at(-1);
      } catch (error) {
        if (error instanceof OpenAI.APIError) return;
        throw error;
      }
      same([last.type, last.response.error.code], ['response.failed', 'server_error']);
    },
    count: async (model) => counted(model, (await client.responses.inputTokens.count({ model, input: 'hello' })).input_tokens),
  },
};
