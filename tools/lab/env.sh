# Common settings of the laboratory; sourced by the other scripts.
LAB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${LAB_OUT:=/tmp/lab}"          # build outputs and run-time state
: "${LAB_NS:=lab}"                # network namespace holding the TAPs
: "${LAB_PORT:=7700}"             # control port on the namespace's loopback
: "${LAB_MEM:=384}"               # guest memory, MiB
: "${LAB_V6:=0}"                 # 1: IPv6 addresses too, on this machine's side
LAB_RUN=$LAB_OUT/run/$LAB_NS      # pid files, console log of this instance
