#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Starts Redis as people's app files expect of an image of that name: options are enough of a command, and root gives the data directory,
# which is the working directory, to the user redis and becomes that.
set -eu

case $1 in
-*) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	chown -R redis:redis .
	exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
fi
umask 077
# It listens to the others, who are on no other network.
[ "$1" != redis-server ] || set -- "$@" --protected-mode no
exec "$@"
