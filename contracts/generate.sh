#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes contracts/abi and the Go bindings in internal/gen from the Solidity sources. Both are committed, so that
# nobody needs Node to build Go; a check runs this and fails if it changes anything.
set -eu
cd "$(dirname "$0")"

./install.sh
# Without the tests: they are not needed here, and take longer to compile than the contracts. The two odd ones are what the
# reference model in Go runs the contract against.
node_modules/.bin/forge build src test/OddToken.sol test/OddWallet.sol >/dev/null
cd ..
go run ./contracts/bindings
