#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Starts nginx with its requests for /api/ going to $API.
set -eu
sed "s|@API@|$API|" /etc/nginx/frontend.conf >/etc/nginx/conf.d/default.conf
exec "$@"
