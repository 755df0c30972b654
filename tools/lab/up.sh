#!/bin/bash
# Starts the guest: up.sh [NICS]   (default 1)
# Namespace $LAB_NS holds TAPs lab1..labN: 10.77.N.1/24 and, with LAB_V6=1,
# fd77:N::1/64; the guest has 10.77.N.2, fd77:N::2 on ethN. The control port is on the namespace's
# loopback only.
set -euo pipefail
. "$(dirname "$0")/env.sh"
NICS=${1:-1}
[ -e "$LAB_OUT/stamp" ] || "$LAB_DIR/build.sh"
mkdir -p "$LAB_RUN"
if [ -e "$LAB_RUN/qemu.pid" ] && kill -0 "$(cat "$LAB_RUN/qemu.pid")" 2>/dev/null; then
    echo "already up (pid $(cat "$LAB_RUN/qemu.pid"))"; exit 0
fi
ip netns list | grep -qw "$LAB_NS" || ip netns add "$LAB_NS"
nsx() { ip netns exec "$LAB_NS" "$@"; }
nsx ip link set lo up
args=(-netdev "user,id=ctl,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:$LAB_PORT-10.0.2.15:7700"
      -device "virtio-net-pci,netdev=ctl,mac=52:54:00:77:00:00,romfile=")
for n in $(seq 1 "$NICS"); do
    nsx ip link show "lab$n" >/dev/null 2>&1 || nsx ip tuntap add dev "lab$n" mode tap
    nsx sh -c "echo 0 > /proc/sys/net/ipv6/conf/lab$n/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/lab$n/accept_ra"
    nsx ip addr replace "10.77.$n.1/24" brd + dev "lab$n"
    if [ "$LAB_V6" = 1 ]; then nsx ip addr replace "fd77:$n::1/64" dev "lab$n" nodad
    else nsx sh -c "echo 1 > /proc/sys/net/ipv6/conf/lab$n/disable_ipv6"; fi
    nsx ip link set "lab$n" up
    args+=(-netdev "tap,id=n$n,ifname=lab$n,script=no,downscript=no,vnet_hdr=off"
           -device "virtio-net-pci,netdev=n$n,mac=52:54:00:77:00:0$n,romfile=")
done
nsx ip route replace 224.0.0.0/4 dev lab1
t0=$(date +%s.%N)
nsx qemu-system-x86_64 -accel tcg -cpu max -smp 1 -m "$LAB_MEM" -nodefaults -no-user-config \
    -display none -no-reboot -kernel "$LAB_OUT/vmlinux" -initrd "$LAB_OUT/initramfs.cpio" \
    -append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off random.trust_cpu=on nokaslr tsc=unstable lab.nics=$NICS ${LAB_APPEND:-}" \
    -serial "file:$LAB_RUN/console.log" -device virtio-rng-pci \
    -pidfile "$LAB_RUN/qemu.pid" -daemonize "${args[@]}"
for i in $(seq 1 600); do
    if grep -aq 'LAB READY' "$LAB_RUN/console.log" 2>/dev/null && "$LAB_DIR/guest.sh" true </dev/null 2>/dev/null; then
        printf 'guest ready after %.1f s (namespace %s, %s nics)\n' \
            "$(echo "$(date +%s.%N) - $t0" | bc 2>/dev/null || awk "BEGIN{print $(date +%s.%N)-$t0}")" "$LAB_NS" "$NICS"
        exit 0
    fi
    kill -0 "$(cat "$LAB_RUN/qemu.pid")" 2>/dev/null || { echo "the guest ended:"; tail -20 "$LAB_RUN/console.log"; exit 1; } >&2
    sleep 0.1
done
echo "the guest did not become ready" >&2; tail -20 "$LAB_RUN/console.log" >&2; exit 1
