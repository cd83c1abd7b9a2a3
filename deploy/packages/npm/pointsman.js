#!/usr/bin/env node
// Runs the binary of this platform, which is in a package of its own: npm installs the one that fits.
"use strict";

const { spawn } = require("node:child_process");

const fitting = `@pointsman/${process.platform}-${process.arch}`;
let binary;
try {
  binary = require.resolve(`${fitting}/bin/pointsman`);
} catch {
  console.error(
    `pointsman: the package ${fitting} is not there. Either there is none for this platform, or it was left out: ` +
      "install without --omit=optional, on the machine on which it is to run.",
  );
  process.exit(69);
}

const given = process.argv.slice(2);
if (process.execve) {
  // The process becomes the binary: whoever sends signals reaches it.
  process.execve(binary, [binary, ...given], process.env);
}
const child = spawn(binary, given, { stdio: "inherit" });
// A terminal sends an interrupt to both, and a second one would end requests that are under way: that is not passed on.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (error) => {
  console.error(`pointsman: ${error.message}`);
  process.exitCode = 69;
});
child.on("exit", (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  } else {
    process.exitCode = code;
  }
});
