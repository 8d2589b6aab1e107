#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes contracts/abi and the Go bindings in internal/gen from the Solidity sources. Both are committed, so that
# nobody needs Node to build Go; a check runs this and fails if it changes anything.
set -eu
cd "$(dirname "$0")"

./install.sh
# Without the tests: they are not needed here, and take longer to compile than the contracts.
node_modules/.bin/forge build --skip 'test/**' >/dev/null
cd ..
go run ./contracts/bindings
