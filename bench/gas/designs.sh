#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the designs that Channels is measured beside, exactly as it is compiled, into designs/*.json: ABI and bytecode, committed so that
# the benchmark needs no Node. To be run after a change to them or to what they share with Channels.
set -eu
cd "$(dirname "$0")/../../contracts"

./install.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp -r src foundry.toml solc-node.js "$tmp"
ln -s "$PWD/node_modules" "$tmp/node_modules"
cp ../bench/gas/designs/*.sol "$tmp/src"
node_modules/.bin/forge build --root "$tmp" >/dev/null
for name in Slots CloneFactory CloneChannel ApartFactory ApartChannel; do
	node -e '
		const { abi, bytecode } = JSON.parse(require("fs").readFileSync(0, "utf8"));
		process.stdout.write(JSON.stringify({ abi: abi.filter((e) => e.type === "function"), bin: bytecode.object }) + "\n");
	' <"$(ls "$tmp"/out/*/$name.json)" >"../bench/gas/designs/$name.json"
done
