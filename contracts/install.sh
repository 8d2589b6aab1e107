#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the contracts' toolchain from npm, at the versions of the lock file, unless that was done already.
set -eu
cd "$(dirname "$0")"

if ! cmp -s package-lock.json node_modules/.installed; then
	npm ci --loglevel error
	cp package-lock.json node_modules/.installed
fi
