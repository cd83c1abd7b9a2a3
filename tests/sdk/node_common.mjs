// What the checks of all SDKs in JavaScript have in common: what is asked, and what the scripted upstreams answer.

import assert from 'node:assert/strict';

export const URL = process.env.POINTSMAN_URL;
export const TOKEN = process.env.POINTSMAN_TOKEN;

export const GREETING = 'Grüße, Welt! 你好';
export const THOUGHT = 'The user wants to know. I shall look.';
export const TOLD = 'The tools said: 21 in Paris | 25 in Rome';
export const FAILURE = 'the scripted upstream refuses';
export const PLACE = { city: 'Paris', population: 2102650 };
export const PICTURE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
export const SEEN = `image/png of ${Buffer.from(PICTURE, 'base64').length} bytes`;
export const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
export const ASKED = 'What is the weather?';
export const SIGNED = 'What is the weather in Paris and Rome? Keep it signed.';
export const LARGE = 'x'.repeat(1 << 20);

export const weather = ({ city }) => ({ Paris: '21 in Paris', Rome: '25 in Rome' })[city];
export const same = assert.deepEqual;

/** What the model tells of its thoughts where nobody asks for a summary: OpenAI's API has no other form of them. */
export const told = (model) => (model === 'up-responses' ? '' : THOUGHT);

/** The error that the call ends with, which must be of this kind. */
export async function thrown(kind, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.constructor.name, kind.name, `${error.constructor.name}: ${error.message}`);
    return error;
  }
  throw new Error(`no ${kind.name} was thrown`);
}

/** The error says to come back in at most the seven seconds that the upstream named. */
export function waits(headers) {
  const after = Number(headers.get ? headers.get('retry-after') : headers['retry-after']);
  assert.ok(after >= 1 && after <= 7, `retry-after is ${after}`);
}

/** A count is the upstream's; chat completions have none, so that it is made here. */
export function counted(model, count) {
  assert.ok(count === 42 || (model === 'up-openai' && count > 0), `${count} tokens`);
}

/** All that comes. */
export async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}
