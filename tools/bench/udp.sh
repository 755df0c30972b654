# shellcheck shell=sh
# The duels over UDP, for run.sh: two processes on loopback, CPU time of both. Wants $bench (all peers), $nolog (dcsctp without
# its log of every packet) and $target. REPS repetitions; ping-pong at least five.

usrsctp_peer=$target/usrsctp_peer

# duel LABEL SIZE BYTES ARGUMENTS...
duel() {
	label=$1 size=$2 bytes=$3
	shift 3
	program=$bench
	case $label in
	ours-*) set -- --peer ours "$@" ;;
	usrsctp) set -- --peer usrsctp --bin "$usrsctp_peer" "$@" ;;
	dcsctp-nolog-*) program=$nolog && set -- --peer dcsctp "$@" ;;
	*) set -- --peer "${label%-gso}" "$@" ;;
	esac
	case $label in *-gso) set -- "$@" --io gso ;; esac
	case $label in ours-threaded*) set -- "$@" --threaded on ;; esac
	case $label in *-plain*) set -- "$@" --offload off ;; esac
	case $label in *-nodelay) set -- "$@" --nodelay on ;; esac
	case $label in *-per-batch) set -- "$@" --sack-per-batch on ;; esac
	timeout 60 "$program" duel --label "$label" --size "$size" --bytes "$bytes" --limit 50 "$@" || echo "# failed: $label $size $*" >&2
}

# Repetitions are the outer loop, so that the rows of a table were measured side by side.
udp() {
	cc -O2 c/usrsctp_peer.c -o "$usrsctp_peer" -lusrsctp -lpthread
	for _ in $(seq "${REPS:-5}"); do
		"$bench" raw --io gso
		"$bench" raw
		"$bench" raw --answers on
		for p in ours-threaded ours-driven dcsctp-nolog-gso sctp-proto-gso usrsctp; do
			duel $p 64 6400000
		done
		for size in 1424 16384 65536 262144; do
			for p in ours-threaded ours-driven sctp-proto-gso usrsctp; do
				duel $p $size "${BYTES:-100000000}"
			done
		done
		for size in 1424 65536; do
			for p in ours-threaded-plain ours-driven-plain ours-threaded-plain-per-batch ours-driven-plain-per-batch; do
				duel $p $size "${BYTES:-100000000}"
			done
		done
	done
	for _ in $(seq "$((${REPS:-5} > 5 ? ${REPS:-5} : 5))"); do
		for p in ideal ours-threaded ours-driven ours-threaded-nodelay ours-driven-nodelay dcsctp-nolog-plain sctp-proto usrsctp; do
			duel $p 100 1000000 --workload pingpong --cpus 0,1
		done
	done
}
