#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
//
// The pinned compiler from npm, dressed as the native `solc` that forge calls: `--version`, and
// `--standard-json` on stdin. So contracts build wherever Node runs, without a download by forge.
"use strict";

const path = require("node:path");
const solc = require(path.join(__dirname, "node_modules", "solc"));

const args = process.argv.slice(2);

if (args.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else if (args.includes("--standard-json")) {
  const chunks = [];
  process.stdin.on("data", (chunk) => chunks.push(chunk));
  // Forge resolves every import itself and passes all sources inline, so no import callback is needed.
  process.stdin.on("end", () => process.stdout.write(solc.compile(Buffer.concat(chunks).toString("utf8"))));
} else {
  process.stderr.write(`solc-node: only --version and --standard-json are supported, not: ${args.join(" ")}\n`);
  process.exitCode = 1;
}
