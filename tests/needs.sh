#!/bin/sh
# Installs what is missing of COMMAND:PACKAGE pairs, from the distribution's packages.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=
for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "please install:$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of packages
apt-get install -q -y --no-install-recommends $missing >/dev/null
