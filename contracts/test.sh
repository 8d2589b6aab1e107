#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the format of the contracts and runs their tests; arguments go to forge test. Needs no network once installed.
set -eu
cd "$(dirname "$0")"

./lint.sh
exec node_modules/.bin/forge test "$@"
