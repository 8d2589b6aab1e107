#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the format of the contracts and runs their tests; arguments go to forge test. Needs no network once installed.
set -eu
cd "$(dirname "$0")"

./install.sh
node_modules/.bin/forge fmt --check
node_modules/.bin/forge lint src --deny notes
exec node_modules/.bin/forge test "$@"
