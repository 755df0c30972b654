#!/bin/sh
# Guest-side helper: background commands by name.
#   lab bg NAME CMD     start CMD in the background, log in /run/bg/NAME.log
#   lab log NAME        show its log
#   lab kill NAME [SIG] end it (default TERM; whole process group)
#   lab alive NAME      exit 0 while it runs
#   lab bgs             list
#   lab topo [NAME:ID ...]  hosts as network namespaces: bridges br1 (with eth1)
#                       and br2 (with eth2); host NAME has 10.77.1.ID on e1 and
#                       10.77.2.ID on e2 (fd77:1::ID, fd77:2::ID too). Default:
#                       r1:11 r2:12 pe1:21 pe2:22 pu:31; LAB_V6=0: no IPv6;
#                       LAB_NETS=1: br1 only
#   lab topo-del        remove them
#   lab on NAME CMD     run CMD in host NAME
d=/run/bg
plain() { # no offloads: frames on the bridge carry final SCTP checksums
    ethtool -K "$1" tx off rx off gso off gro off tso off tx-checksum-sctp off tx-sctp-segmentation off >/dev/null 2>&1
}
host() { # NAME ID
    ip netns add "$1"
    ip netns exec "$1" ip link set lo up
    # SCTP in UDP (RFC 6951), before any socket is made.
    ip netns exec "$1" sh -c 'cd /proc/sys/net/sctp; echo 9899 > udp_port; echo 9899 > encap_port'
    for n in 1 2; do
        ip link show br$n >/dev/null 2>&1 || continue
        ip link add "$1-$n" type veth peer name e$n netns "$1"
        plain "$1-$n"; ip netns exec "$1" ethtool -K e$n tx off rx off gso off gro off tso off tx-checksum-sctp off tx-sctp-segmentation off >/dev/null 2>&1
        ip link set "$1-$n" master br$n up
        ip netns exec "$1" sh -c "echo 0 > /proc/sys/net/ipv6/conf/e$n/accept_dad
            ip addr add 10.77.$n.$2/24 brd + dev e$n
            [ '${LAB_V6:-1}' = 1 ] || echo 1 > /proc/sys/net/ipv6/conf/e$n/disable_ipv6
            [ '${LAB_V6:-1}' = 0 ] || ip addr add fd77:$n::$2/64 dev e$n nodad
            ip link set e$n up"
    done
    ip netns exec "$1" ip route add 224.0.0.0/4 dev e1
}
case $1 in
bg)   n=$2; shift 2
      setsid sh -c "echo \$\$ > $d/$n.pid; exec $*" </dev/null >$d/$n.log 2>&1 &
      sleep 0.1;;
log)  cat $d/$2.log;;
kill) p=$(cat $d/$2.pid 2>/dev/null) || exit 1
      kill -s "${3:-TERM}" -- -"$p" 2>/dev/null || exit 1
      i=0; while kill -0 "$p" 2>/dev/null && [ $i -lt 50 ]; do sleep 0.1; i=$((i + 1)); done
      ! kill -0 "$p" 2>/dev/null;;
alive) kill -0 "$(cat $d/$2.pid)" 2>/dev/null;;
bgs)  for f in $d/*.pid; do [ -e "$f" ] || continue
          n=${f##*/}; n=${n%.pid}; p=$(cat "$f")
          if kill -0 "$p" 2>/dev/null; then s=running; else s=ended; fi; echo "$n $p $s"; done;;
topo) shift
      [ $# -gt 0 ] || set -- r1:11 r2:12 pe1:21 pe2:22 pu:31
      for n in ${LAB_NETS:-1 2}; do
          ip link show eth$n >/dev/null 2>&1 || continue
          ip link show br$n >/dev/null 2>&1 && continue
          ip link add br$n type bridge stp_state 0 forward_delay 0 mcast_snooping 0
          echo 0 > /proc/sys/net/ipv6/conf/br$n/accept_dad
          ip addr flush dev eth$n
          ip link set eth$n master br$n
          ip addr add 10.77.$n.2/24 brd + dev br$n
          ip addr add fd77:$n::2/64 dev br$n nodad
          ip link set br$n up
      done
      ip route replace 224.0.0.0/4 dev br1
      for h in "$@"; do host "${h%:*}" "${h#*:}"; done;;
topo-del) for h in $(ip netns list | cut -d' ' -f1); do
          [ "$h" = ctl ] && continue
          # The links first: a namespace may live on for the sake of associations that are still ending.
          for n in 1 2; do ip link del "$h-$n" 2>/dev/null; done
          ip netns del "$h"
      done
      for n in 1 2; do
          ip link del br$n 2>/dev/null || continue
          ip addr add 10.77.$n.2/24 brd + dev eth$n
          ip addr add fd77:$n::2/64 dev eth$n nodad
      done
      ip route replace 224.0.0.0/4 dev eth1;;
on)   h=$2; shift 2; exec ip netns exec "$h" sh -c "$*";;
*)    echo "usage: lab bg|log|kill|alive|bgs|topo|topo-del|on" >&2; exit 2;;
esac
