#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Downloads the Debian packages that the stacks' images are made of, and lists them below build/stacks: LAYER.list names the files of one
# layer in archives/. Apt chooses them and checks their signatures, as if on a machine that has nothing installed; nothing is installed here,
# and apt's own lists stay as they are. What was downloaded once is taken again.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p build/stacks
cd build/stacks

recipe=$(cksum <"$OLDPWD/e2e/stacks/packages.sh")
if [ -f done ] && [ "$(cat done)" = "$recipe" ]; then
	exit 0
fi

base="base-files coreutils dash grep libc-bin sed util-linux"
# What only serves to set a package up: nobody sets up anything here.
setup='^(adduser|debconf|dpkg|iproute2|libpam-.*|libperl.*|libsem.*|locales|passwd|perl.*|.*-perl|tar|ucf|usrmerge)_'

mkdir -p archives/partial lists/partial none/partial
: >nothing-installed
apt() {
	apt-get -q -o Dir::State::status="$PWD/nothing-installed" -o Dir::State::lists="$PWD/lists" -o Dir::Cache="$PWD" \
		-o Dir::Cache::archives="$PWD/archives" -o Debug::NoLocking=1 -o APT::Install-Recommends=false -o APT::Sandbox::User=root \
		-o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o Acquire::Retries=3 "$@"
}
closure() { # the files of packages and of all that they depend on, be they downloaded or not
	apt -o Dir::Cache::archives="$PWD/none" --print-uris -qq install "$@" | awk '{print $2}' | grep -Ev "$setup" | LC_ALL=C sort
}

apt update
closure $base >base.list
apt --download-only --yes install $base
while read -r layer packages; do
	closure $base $packages | LC_ALL=C comm -23 - base.list >"$layer.list"
	apt --download-only --yes install $base $packages </dev/null
done <<END
postgres postgresql
redis redis-server
nginx nginx-light
python gunicorn python3-flask python3-psycopg2
END
printf '%s\n' "$recipe" >done
