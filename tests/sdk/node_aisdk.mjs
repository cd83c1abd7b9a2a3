// Vercel's AI SDK (`ai`) with its providers for each dialect: agents such as OpenCode and Cline stand on it.

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from 'ai';
import { ASKED, FAILURE, GREETING, LARGE, PICTURE, PLACE, same, SCHEMA, SEEN, SIGNED, TOKEN, TOLD, URL, waits, weather } from './node_common.mjs';

// Models of unknown names are warned of.
globalThis.AI_SDK_LOG_WARNINGS = false;

const tools = { weather: tool({ description: 'The weather.', inputSchema: jsonSchema(SCHEMA), execute: async (input) => weather(input) }) };
const place = jsonSchema({ type: 'object', properties: { city: { type: 'string' }, population: { type: 'number' } }, required: ['city', 'population'], additionalProperties: false });
const stopWhen = stepCountIs(3);

const made = (apiKey) => {
  const openai = createOpenAI({ baseURL: `${URL}/v1`, apiKey });
  return {
    'openai chat': (model) => openai.chat(model),
    'openai responses': (model) => openai.responses(model),
    anthropic: createAnthropic({ baseURL: `${URL}/v1`, apiKey }),
    google: createGoogleGenerativeAI({ baseURL: `${URL}/v1beta`, apiKey }),
  };
};

/** How each provider is asked to think. Its chat completions carry no reasoning back, so that it needs none to be signed. */
const THINKING = {
  'openai chat': [{ openai: { reasoningEffort: 'high', forceReasoning: true } }, ASKED],
  'openai responses': [{ openai: { reasoningEffort: 'high', reasoningSummary: 'auto', store: false, include: ['reasoning.encrypted_content'], forceReasoning: true } }, SIGNED],
  anthropic: [{ anthropic: { thinking: { type: 'enabled', budgetTokens: 2000 } } }, SIGNED],
  google: [{ google: { thinkingConfig: { includeThoughts: true, thinkingLevel: 'high' } } }, SIGNED],
};

async function failed(call, code) {
  try {
    await call();
  } catch (error) {
    same([APICallError.isInstance(error), error.statusCode], [true, code], `${error.statusCode} ${error.message}`);
    return error;
  }
  throw new Error(`no ${code}`);
}

function checks(kind) {
  const of = made(TOKEN)[kind];
  const [providerOptions, thinks] = THINKING[kind];
  const plain = kind === 'openai responses' ? { providerOptions: { openai: { store: false } } } : {};
  const ask = (model, prompt = 'hello', more = {}) => generateText({ model: of(model), prompt, maxRetries: 0, ...plain, ...more });
  const stream = (model, prompt, more = {}) => {
    const errors = [];
    const result = streamText({ model: of(model), prompt, maxRetries: 0, ...plain, ...more, onError: ({ error }) => errors.push(error) });
    return { result, errors };
  };
  return {
    async chat(model) {
      const { text, finishReason, usage } = await ask(model);
      same([text, finishReason, usage.inputTokens, usage.outputTokens], [GREETING, 'stop', 20, 10]);
    },
    async stream(model) {
      const { result, errors } = stream(model, 'hello');
      same([await result.text, await result.finishReason, (await result.usage).outputTokens, errors], [GREETING, 'stop', 10, []]);
    },
    async tools(model) {
      const { text, steps } = await ask(model, ASKED, { tools, stopWhen });
      same([text, steps.length, steps[0].finishReason], [TOLD, 2, 'tool-calls']);
    },
    async 'tools streamed'(model) {
      const { result, errors } = stream(model, ASKED, { tools, stopWhen });
      same([await result.text.catch(String), errors.map(String)], [TOLD, []]);
    },
    thinking: async (model) => same((await ask(model, thinks, { tools, stopWhen, providerOptions })).text, TOLD),
    async 'thinking streamed'(model) {
      const { result, errors } = stream(model, thinks, { tools, stopWhen, providerOptions });
      same([await result.text.catch(String), errors.map(String)], [TOLD, []]);
    },
    structured: async (model) => same((await ask(model, 'Where?', { output: Output.object({ schema: place }) })).output, PLACE),
    async vision(model) {
      const file = { type: 'file', data: PICTURE, mediaType: 'image/png' };
      const messages = [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, file] }];
      same((await ask(model, undefined, { prompt: undefined, messages })).text, SEEN);
    },
    async errors(model) {
      const error = await failed(() => ask(`${model}-400`), 400);
      if (!error.message.includes(FAILURE)) throw new Error(error.message);
      const limited = await failed(() => ask(`${model}-429`), 429);
      waits(limited.responseHeaders);
      same(limited.isRetryable, true);
      same((await failed(() => ask(`${model}-503`), 502)).isRetryable, true);
      await failed(() => ask(model, LARGE), 413);
      await failed(() => ask('nothing-like-that'), 404);
      await failed(() => generateText({ model: made('wrong')[kind](model), prompt: 'hello', maxRetries: 0 }), 401);
    },
    async broken(model) {
      const { result, errors } = stream(model, 'break off');
      const finish = await Promise.resolve(result.finishReason).catch(() => 'error');
      same([['error', 'interrupted'].includes(finish)], [true], `${finish} ${errors}`);
    },
  };
}

export const aisdk = Object.keys(THINKING).map((kind) => ({ name: `ai-sdk ${kind}`, checks: checks(kind) }));
