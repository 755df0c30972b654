#!/bin/bash
# The Linux kernel in the laboratory sends to another host with the same kernel and to our stack, both over one emulated link: 100 Mbit/s,
# 50 ms, on the sender's interface (netem). One boot; the two take turns. Prints lines for `sctp-bench table`.
# The guest is interpreted, so that with packets of 1500 bytes its processor is the limit, at some 40 Mbit/s; with MTU=9000 it is the link.
#   MTU=1500 lab.sh PATH-OF-sctp [REPETITIONS [MEGABYTES]]
set -euo pipefail
sctp=$(realpath "$1") reps=${2:-3} megabytes=${3:-150}
cd "$(dirname "$0")/../lab"
export LAB_NS=${LAB_NS:-benchlab} LAB_PORT=${LAB_PORT:-7790} LAB_V6=0
mtu=${MTU:-1500} port=5001
size=$((10 * (mtu - 28 - 12 - 16) / 4 * 4)) # ten full packets a message
count=$((megabytes * 1000000 / size))
ours=""
finish() {
	[ -z "$ours" ] || kill "$ours" 2>/dev/null || true
	./down.sh >/dev/null 2>&1 || true
}
trap finish EXIT
./up.sh 1 >&2

# Buffers larger than the bandwidth-delay product, which is 625 kB.
./guest.sh 'for f in core/rmem_default core/rmem_max core/wmem_default core/wmem_max; do echo 4194304 >/proc/sys/net/$f; done
	for f in sctp_rmem sctp_wmem; do echo 4096 4194304 4194304 >/proc/sys/net/sctp/$f; done
	LAB_NETS=1 LAB_V6=0 lab topo a:41 b:42
	for h in a b; do ip link set $h-1 mtu '"$mtu"'; lab on $h ip link set e1 mtu '"$mtu"'; done
	ip link set eth1 mtu '"$mtu"'; ip link set br1 mtu '"$mtu"'
	modprobe sch_netem
	lab on a "tc qdisc add dev e1 root netem delay 50ms rate 100mbit limit 1000"' >&2
ip -n "$LAB_NS" link set lab1 mtu "$mtu"
ip netns exec "$LAB_NS" "$sctp" cat --listen "$port" --keep-listening --receive-only --buffer 4194304 >/dev/null 2>&2 &
ours=$!
sleep 1

# Seconds from the first message to the acknowledgement of the last.
seconds() { # ADDRESS
	if [ "$1" != 10.77.1.1 ]; then
		./guest.sh --bg receiver "echo end | ip netns exec b peer -s -l 10.77.1.42 -p $port -o plain=1"
		until ./guest.sh --log receiver | grep -q listening; do sleep 0.2; done
	fi
	printf 'connect\nsend %s %s\nidle\nshutdown\nend\n' "$count" "$size" |
		./guest.sh "lab on a peer -l 10.77.1.41 -r $1 -P $port -o plain=1" |
		while read -r line; do
			case $line in
			up*) from=$(date +%s.%N) ;;
			done*) echo "$(date +%s.%N) $from" ;;
			failed*) echo "$line" >&2 ;;
			esac
		done | awk '{ print $1 - $2 }'
}

for _ in $(seq "$reps"); do
	for receiver in kernel:10.77.1.42 ours:10.77.1.1; do
		s=$(seconds "${receiver#*:}")
		awk -v peer="${receiver%:*}" -v s="$s" -v mtu="$mtu" -v bytes="$((count * size))" 'BEGIN {
			printf "M\tlab\tkernel to %s\t100Mbit rtt=50ms mtu=%d %d MB\tMbit/s\t%.6f\n", peer, mtu, bytes / 1e6, bytes * 8 / s / 1e6
			printf "M\tlab\tkernel to %s\t100Mbit rtt=50ms mtu=%d %d MB\tseconds\t%.6f\n", peer, mtu, bytes / 1e6, s
		}'
	done
done
