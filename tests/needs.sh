#!/bin/sh
# Installs what is missing of COMMAND:PACKAGE pairs, from the distribution's packages.
# What is wanted of them are programs: a service that comes with one is not started, now or when the machine starts.
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
services() {
    find /etc/init.d -type f -printf '%f ' 2>/dev/null || true
}
before=" $(services)"
# Asked by the packages' scripts before they start a service; 101 is "no" (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if ! [ -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of packages
apt-get install -q -y --no-install-recommends $missing >/dev/null
for service in $(services); do
    case $before in
    *" $service "*) ;;
    *) update-rc.d "$service" disable ;;
    esac
done
