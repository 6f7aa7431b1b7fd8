#!/bin/bash
# The whole session between two hosts, typed out. The hosts are network namespaces that end with this script.
# usage: demo.sh DIRECTORY-OF-THE-PROGRAMS
set -euo pipefail

programs=$(cd "${1:?usage: demo.sh DIRECTORY-OF-THE-PROGRAMS}" && pwd)
scratch=$(mktemp -d)
chmod 755 "$scratch" # varpd reads from it, as netadm where there is such a user
pids=()
export PATH=$programs:$PATH:/usr/sbin:/sbin

[ "$(id -u)" = 0 ] || { echo "demo.sh: network namespaces need root; try: sudo make demo" >&2; exit 1; }
for program in overlayd varpd dladm ifconfig svcs; do
    [ -x "$programs/$program" ] || { echo "demo.sh: $programs/$program is missing: build it first" >&2; exit 1; }
done

namespace() { echo "ov-demo-$$-$1"; }

cleanup() {
    status=$?
    trap - EXIT
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    for host in 1 2; do ip netns del "$(namespace $host)" 2>/dev/null || true; done
    if [ $status != 0 ]; then
        echo "demo.sh: the session broke off; what the daemons said:" >&2
        cat "$scratch"/*.log >&2 || true
    fi
    rm -rf "$scratch"
    exit $status
}
trap cleanup EXIT

# on HOST COMMAND...: runs a command on a host.
on() {
    local host=$1
    shift
    OVERLAY_RUN_DIR=$scratch/run$host OVERLAY_STATE_DIR=$scratch/state$host \
        ip netns exec "$(namespace "$host")" "$@"
}

# typed HOST COMMAND...: the same, with the command as a user would see it.
typed() {
    local host=$1
    shift
    echo "host$host# $*"
    on "$host" "$@"
}

# start HOST DAEMON: runs a daemon in the background until the demo ends.
start() {
    echo "host$1# $2 &"
    OVERLAY_RUN_DIR=$scratch/run$1 OVERLAY_STATE_DIR=$scratch/state$1 \
        ip netns exec "$(namespace "$1")" "$2" 2>>"$scratch/$2-$1.log" &
    pids+=($!)
}

# await WHAT COMMAND...: polls until a command succeeds, for ten seconds at most.
await() {
    local what=$1
    shift
    for _ in $(seq 100); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    echo "demo.sh: $what did not happen" >&2
    return 1
}

say() { printf '\n=== %s\n' "$*"; }

say "two hosts, 10.0.0.1 and 10.0.0.2, on one network"
for host in 1 2; do
    ip netns add "$(namespace $host)"
    ip -n "$(namespace $host)" link set lo up
done
ip link add "d$$a" netns "$(namespace 1)" type veth peer name "d$$b" netns "$(namespace 2)"
typed 1 ip addr add 10.0.0.1/24 dev "d$$a"
typed 2 ip addr add 10.0.0.2/24 dev "d$$b"
on 1 ip link set "d$$a" up
on 2 ip link set "d$$b" up

say "the two daemons, on both hosts"
for host in 1 2; do
    start $host overlayd
    start $host varpd
done
for host in 1 2; do
    await "overlayd on host $host" on $host dladm show-link
    await "varpd on host $host" on $host svcs varpd
done
typed 1 svcs varpd

say "an overlay between them"
typed 1 dladm create-overlay -e vxlan -s direct -p vxlan/listen_ip=10.0.0.1 \
    -p direct/dest_ip=10.0.0.2 -p direct/dest_port=4789 -v 23 demo0
typed 2 dladm create-overlay -e vxlan -s direct -p vxlan/listen_ip=10.0.0.2 \
    -p direct/dest_ip=10.0.0.1 -p direct/dest_port=4789 -v 23 demo0
typed 1 dladm show-overlay

say "a VNIC on each end: the first set up with ip, the second with ifconfig, as on illumos"
typed 1 dladm create-vnic -l demo0 foo0
typed 2 dladm create-vnic -l demo0 foo0
typed 1 dladm show-vnic
typed 1 dladm show-link
typed 1 ip link set foo0 up
typed 1 ip addr add 192.168.23.1/24 dev foo0
typed 2 ifconfig foo0 plumb up
typed 2 ifconfig foo0 192.168.23.2/24

say "they reach each other"
await "an answer" on 1 ping -n -c 1 -W 1 192.168.23.2
typed 1 ping -n -c 3 -i 0.2 192.168.23.2
typed 2 ping -n -c 3 -i 0.2 192.168.23.1

say "how fast, by one TCP stream for three seconds"
ip netns exec "$(namespace 2)" iperf3 -s -1 >/dev/null 2>"$scratch/iperf3-2.log" &
pids+=($!)
await "iperf3's server" on 2 sh -c 'ss -Hltn | grep -q :5201'
echo "host1# iperf3 -c 192.168.23.2 -t 3"
on 1 iperf3 -c 192.168.23.2 -t 3 -J >"$scratch/iperf3.json"
bits=$(sed -n '/"sum_received"/,/}/s/.*"bits_per_second":[[:space:]]*\([0-9]*\).*/\1/p' "$scratch/iperf3.json")
echo "$((bits / 1000000)) Mbit/s arrived, through the programs in $(basename "$programs")/"

say "what went through"
typed 1 dladm show-overlay -t demo0
typed 1 dladm show-overlay -f demo0
typed 1 dladm show-overlay -s demo0
typed 1 dladm show-link -s

say "the same between as many hosts as one likes: a file says where each address is"
for host in 1 2; do
    typed $host dladm delete-vnic foo0
    typed $host dladm delete-overlay demo0
done
cat >"$scratch/red.json" <<'FILE'
{
  "2:8:20:0:0:1": { "ip": "10.0.0.1", "port": 4789, "arp": "192.168.42.1" },
  "2:8:20:0:0:2": { "ip": "10.0.0.2", "port": 4789, "arp": "192.168.42.2" },
  "broadcast": ["10.0.0.1:4789", "10.0.0.2:4789"]
}
FILE
echo "both# cat red.json" && cat "$scratch/red.json"
for host in 1 2; do
    typed $host dladm create-overlay -e vxlan -s files -v 42 \
        -p "vxlan/listen_ip=10.0.0.$host,files/config=$scratch/red.json" red0
    typed $host dladm create-vnic -l red0 -m 2:8:20:0:0:$host bar0
    on $host ip link set bar0 up
    on $host ip addr add 192.168.42.$host/24 dev bar0
done
typed 1 ping -n -c 2 -i 0.2 192.168.42.2
typed 1 dladm show-overlay -t -o target,destination,state,age,origin red0

say "an address that is to be cut off, and back again"
typed 1 dladm modify-overlay -s 2:8:20:0:0:2=drop red0
on 1 ping -n -c 1 -W 1 192.168.42.2 >/dev/null && { echo "demo.sh: it was not dropped" >&2; exit 1; }
typed 1 dladm show-overlay -t -o target,destination,state,age,origin red0
typed 1 dladm modify-overlay -d 2:8:20:0:0:2 red0
typed 1 ping -n -c 1 -W 1 192.168.42.2

say "and everything away again"
for host in 1 2; do
    typed $host dladm delete-vnic bar0
    typed $host dladm delete-overlay red0
done
typed 1 dladm show-link

cat <<'GO_ON'

That was the whole session. To go on:
  make install                  the programs
  overlayd & varpd &            the daemons, as root
  dladm create-overlay --help   every command has an example
  README.md                     the same session between two real machines
GO_ON
