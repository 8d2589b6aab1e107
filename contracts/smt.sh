#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Proves what contracts/smt says of the arithmetic of claims, prints each property with its verdict, and fails unless all are
# proved and the controls, which are wrong, are found so. Installs z3, a Debian package, if it is missing.
set -eu
cd "$(dirname "$0")"

./install.sh
if ! command -v z3 >/dev/null; then
	apt-get -q update
	DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends z3
fi
exec node smt/prove.js
