#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the format of the contracts and runs forge's linter on them.
set -eu
cd "$(dirname "$0")"

./install.sh
node_modules/.bin/forge fmt --check
exec node_modules/.bin/forge lint src --deny notes
