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
# Starting `ip` takes a tenth of a second here: so it gets its commands in batches, on standard input.
plain() { # no offloads: frames on the bridge carry final SCTP checksums
    ethtool -K "$1" tx off rx off gso off gro off tso off tx-checksum-sctp off tx-sctp-segmentation off >/dev/null 2>&1
}
within() { h=$1; shift; nsenter --net="/run/netns/$h" "$@"; }
nets() { for n in 1 2; do ! [ -e /sys/class/net/br$n ] || echo $n; done; }
wires() { # NAME: ip's commands for the host and its links to the bridges
    echo "netns add $1"
    for n in $(nets); do
        echo "link add $1-$n type veth peer name e$n netns $1"
        echo "link set $1-$n master br$n up"
    done
}
host() { # NAME ID: settles in
    # SCTP in UDP (RFC 6951), before any socket is made.
    echo 'cd /proc/sys/net/sctp; echo 9899 > udp_port; echo 9899 > encap_port; cd ../ipv6/conf; echo 0 > default/accept_dad'
    for n in $(nets); do
        echo "plain e$n; echo 0 > e$n/accept_dad"
        [ "${LAB_V6:-1}" = 1 ] || echo "echo 1 > e$n/disable_ipv6"
    done
    echo 'ip -batch - <<END'
    echo 'link set lo up'
    for n in $(nets); do
        echo "addr add 10.77.$n.$2/24 brd + dev e$n"
        [ "${LAB_V6:-1}" = 0 ] || echo "addr add fd77:$n::$2/64 dev e$n nodad"
        echo "link set e$n up"
    done
    echo 'route add 224.0.0.0/4 dev e1'
    echo END
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
          [ -e /sys/class/net/eth$n ] && ! [ -e /sys/class/net/br$n ] || continue
          echo "link add br$n type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
          echo "addr flush dev eth$n"
          echo "link set eth$n master br$n"
          echo "addr add 10.77.$n.2/24 brd + dev br$n"
          echo "addr add fd77:$n::2/64 dev br$n nodad"
          echo "link set br$n up"
      done | ip -batch -
      { echo 'route replace 224.0.0.0/4 dev br1'; for h in "$@"; do wires "${h%:*}"; done; } | ip -batch -
      for h in "$@"; do
          for n in $(nets); do plain "${h%:*}-$n"; done
          within "${h%:*}" lab in "$(host "${h%:*}" "${h#*:}")"
      done;;
in)   eval "$2";;
topo-del) for h in $(ls /run/netns); do
          [ "$h" = ctl ] && continue
          # The links first: a namespace may live on for the sake of associations that are still ending.
          for n in $(nets); do echo "link del $h-$n"; done
          echo "netns del $h"
      done | ip -force -batch -
      { for n in $(nets); do
          echo "link del br$n"
          echo "addr add 10.77.$n.2/24 brd + dev eth$n"
          echo "addr add fd77:$n::2/64 dev eth$n nodad"
      done; echo 'route replace 224.0.0.0/4 dev eth1'; } | ip -force -batch -;;
on)   h=$2; shift 2; exec ip netns exec "$h" sh -c "$*";;
*)    echo "usage: lab bg|log|kill|alive|bgs|topo|topo-del|on" >&2; exit 2;;
esac
