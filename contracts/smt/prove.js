// SPDX-License-Identifier: Apache-2.0
//
// Has the compiler's SMTChecker turn each assertion of ClaimProofs.sol into a question and z3 answer it. The compiler
// from npm has no solver of its own that works, so it hands the questions out.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { spawnSync } = require("node:child_process");

const root = path.join(__dirname, "..");
const solc = require(path.join(root, "node_modules", "solc"));

const file = "smt/ClaimProofs.sol";
const timeout = 60_000; // of one question, in milliseconds; most take less than five seconds

const source = fs.readFileSync(path.join(root, file), "utf8");

const settings = {
  modelChecker: {
    contracts: { [file]: ["ClaimProofs"] },
    divModNoSlacks: true, // z3 divides itself, and faster than by the compiler's detour
    engine: "bmc", // one function at a time; the other engine, CHC, can't prove what multiplies two unknowns
    showProvedSafe: true,
    showUnproved: true,
    solvers: ["smtlib2"],
    targets: ["assert"],
    timeout,
  },
};

function ask(query) {
  const z3 = spawnSync("z3", ["-in", `-t:${timeout}`], { input: query, encoding: "utf8", maxBuffer: 1 << 28 });
  if (z3.error) throw z3.error;
  return { contents: z3.stdout };
}

function load(name) {
  try {
    return { contents: fs.readFileSync(path.join(root, name), "utf8") };
  } catch (error) {
    return { error: String(error) };
  }
}

const input = { language: "Solidity", sources: { [file]: { content: source } }, settings };
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: load, smtSolver: ask }));

// The function that an assertion is in is the last one that begins before it.
const functions = [...source.matchAll(/function (\w+)\(/g)];
const verdicts = new Map(functions.map((found) => [found[1], "not asked"]));
const meaning = { 2961: "proved", 4661: "violated", 7812: "unknown" };

for (const message of output.errors ?? []) {
  if (message.severity === "error") throw new Error(message.formattedMessage);
  const verdict = meaning[message.errorCode];
  if (verdict === undefined) continue;
  const property = functions.findLast((found) => found.index < message.sourceLocation.start);
  verdicts.set(property[1], verdict);
}

let failed = false;
for (const [property, verdict] of verdicts) {
  const want = property.startsWith("broken") ? "violated" : "proved";
  failed ||= verdict !== want;
  process.stdout.write(`${verdict.padEnd(9)} ${property}${verdict === want ? "" : `: should be ${want}`}\n`);
}
process.exitCode = failed ? 1 : 0;
