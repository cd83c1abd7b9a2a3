// The SDK `@google/genai`.

import { ApiError, GoogleGenAI } from '@google/genai';
import { all, ASKED, counted, FAILURE, GREETING, LARGE, PICTURE, PLACE, same, SCHEMA, SEEN, SIGNED, THOUGHT, thrown, TOKEN, TOLD, URL, weather } from './node_common.mjs';

const made = (apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: URL, timeout: 20000 } });
const client = made(TOKEN);
const tools = [{ functionDeclarations: [{ name: 'weather', description: 'The weather.', parametersJsonSchema: SCHEMA }] }];
const thinkingConfig = { includeThoughts: true, thinkingLevel: 'HIGH' };

const ask = (model, contents = 'hello', config = {}) => client.models.generateContent({ model, contents, config });
const parts = async (...what) => (await ask(...what)).candidates[0].content.parts;
const streamed = async (model, contents, config) => {
  const chunks = await all(await client.models.generateContentStream({ model, contents, config }));
  return chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
};

/** Both turns, the first one as `first` asks for it. */
async function turns(first, model, text, config) {
  const contents = [{ role: 'user', parts: [{ text }] }];
  const said = await first(model, contents, { tools, ...config });
  const calls = said.filter((part) => part.functionCall).map((part) => part.functionCall);
  const results = calls.map(({ id, name, args }) => ({ functionResponse: { id, name, response: { output: weather(args) } } }));
  contents.push({ role: 'model', parts: said }, { role: 'user', parts: results });
  same((await ask(model, contents, { tools, ...config })).text, TOLD);
  return said.filter((part) => part.thought).map((part) => part.text).join('');
}

const status = async (call, code, name) => {
  const error = await thrown(ApiError, call);
  same([error.status, error.message.includes(name)], [code, true], error.message);
  return error;
};

export const google = {
  name: 'node google-genai',
  checks: {
    async chat(model) {
      const answer = await ask(model, 'hello', { systemInstruction: 'Be kind.', temperature: 0.5 });
      const { promptTokenCount, candidatesTokenCount, cachedContentTokenCount } = answer.usageMetadata;
      same([answer.text, promptTokenCount, candidatesTokenCount, cachedContentTokenCount], [GREETING, 20, 10, 8]);
    },
    async stream(model) {
      const chunks = await all(await client.models.generateContentStream({ model, contents: 'hello' }));
      same(chunks.map((chunk) => chunk.text ?? '').join(''), GREETING);
      same([chunks.at(-1).candidates[0].finishReason, chunks.at(-1).usageMetadata.candidatesTokenCount], ['STOP', 10]);
    },
    tools: (model) => turns(parts, model, ASKED),
    thinking: async (model) => same(await turns(parts, model, SIGNED, { thinkingConfig }), THOUGHT),
    'thinking streamed': async (model) => same(await turns(streamed, model, SIGNED, { thinkingConfig }), THOUGHT),
    async chats(model) {
      const chat = client.chats.create({ model, config: { tools, thinkingConfig } });
      const first = await chat.sendMessage({ message: SIGNED });
      const message = first.functionCalls.map(({ id, name, args }) => ({ functionResponse: { id, name, response: { output: weather(args) } } }));
      same((await chat.sendMessage({ message })).text, TOLD);
    },
    async structured(model) {
      const responseJsonSchema = { type: 'object', properties: { city: { type: 'string' }, population: { type: 'integer' } }, required: ['city', 'population'], additionalProperties: false };
      const answer = await ask(model, 'Where?', { responseMimeType: 'application/json', responseJsonSchema });
      same(JSON.parse(answer.text), PLACE);
    },
    async vision(model) {
      same((await ask(model, [{ inlineData: { mimeType: 'image/png', data: PICTURE } }, { text: 'What is it?' }])).text, SEEN);
    },
    async errors(model) {
      await status(() => ask(`${model}-400`), 400, FAILURE);
      await status(() => ask(`${model}-429`), 429, 'RetryInfo');
      await status(() => ask(`${model}-503`), 502, 'UNAVAILABLE');
      await status(() => made('wrong').models.generateContent({ model, contents: 'hello' }), 401, 'UNAUTHENTICATED');
      await status(() => ask('nothing-like-that'), 404, 'NOT_FOUND');
      await status(() => ask(model, LARGE), 413, 'INVALID_ARGUMENT');
    },
    async broken(model) {
      const stream = await client.models.generateContentStream({ model, contents: 'break off' });
      const error = await all(stream).then(() => undefined, (failed) => failed);
      // Node.js may hand out the error's piece together with the one before, which the SDK then calls incomplete.
      same(error instanceof ApiError || /Incomplete JSON/.test(error?.message), true, String(error));
    },
    async models(model) {
      const own = (await all(await client.models.list())).find((one) => one.name.startsWith(`models/${model}:`));
      same((await client.models.get({ model: own.name })).name, own.name);
    },
    count: async (model) => counted(model, (await client.models.countTokens({ model, contents: 'hello' })).totalTokens),
  },
};
