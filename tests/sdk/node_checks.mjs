// The checks of the SDKs in JavaScript. Each is named by SDK, upstream and subject; `run.py` starts this.

import { aisdk } from './node_aisdk.mjs';
import { anthropic } from './node_anthropic.mjs';
import { google } from './node_google.mjs';
import { openai, responses } from './node_openai.mjs';

const ONLY = JSON.parse(process.env.ONLY ?? '[]');
const UPSTREAMS = ['openai', 'anthropic', 'gemini', 'responses'];

let failed = false;
// What an SDK throws beside the call that it belongs to is told, and never ends the run.
process.on('unhandledRejection', (error) => {
  failed = true;
  console.log(`FAIL  node: nobody took the rejection ${String(error).slice(0, 300)}`);
});
for (const sdk of [openai, responses, anthropic, google, ...aisdk]) {
  for (const upstream of UPSTREAMS) {
    for (const [subject, check] of Object.entries(sdk.checks)) {
      const name = `${sdk.name} over ${upstream}: ${subject}`;
      if (!ONLY.every((word) => name.includes(word))) continue;
      try {
        await check(`up-${upstream}`);
        console.log(`ok    ${name}`);
      } catch (error) {
        failed = true;
        console.log(`FAIL  ${name}: ${String(error?.message ?? error).slice(0, 1500)}`);
        if (ONLY.length > 0) console.error(error);
      }
    }
  }
}
process.exit(failed ? 1 : 0);
