#!/bin/bash
# Builds the laboratory's guest: Debian's own kernel and an initramfs that holds
# RSPLIB's and lksctp's programs. Idempotent; outputs below $LAB_OUT.
# Usage: build.sh [--force]
set -euo pipefail
. "$(dirname "$0")/env.sh"
mkdir -p "$LAB_OUT/debs"
cd "$LAB_OUT"
exec 9>lock && flock 9 # one build at a time

apt-cache policy linux-image-amd64 2>/dev/null | grep -q 'Candidate: [0-9]' || apt-get update

# --- tools of this machine -------------------------------------------------
missing=()
need() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed' || missing+=("$1"); }
for p in qemu-system-x86 cpio xz-utils kmod gcc libc6-dev libsctp-dev binutils iproute2 util-linux; do need $p; done
if [ ${#missing[@]} -gt 0 ]; then
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y \
        --no-install-recommends "${missing[@]}"
fi

# --- the guest's packages --------------------------------------------------
KPKG=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-6[^ ]*\)$/\1/p' | head -1)
KVER=${KPKG#linux-image-}
GUEST_PKGS="busybox-static dash kmod
  libc6 libgcc-s1 libstdc++6 libbz2-1.0 libsctp1 lksctp-tools
  rsplib-registrar rsplib-services rsplib-tools librsplib3 libcpprspserver3
  iproute2 libelf1 libmnl0 libbpf1 libcap2 libxtables12 libselinux1 libpcre2-8-0 zlib1g
  libtirpc3 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libcom-err2 libkrb5support0 libkeyutils1 libdb5.3
  libbsd0 libmd0 libzstd1 liblzma5 libssl3 ethtool coreutils util-linux"

fetch() {   # package: download its .deb unless there is one
    local f
    for f in debs/"$1"_*.deb; do [ -e "$f" ] && return 0; done
    # What is installed here may be newer than what the archive still has.
    (cd debs && { apt-get -o APT::Sandbox::User=root download "$1" >/dev/null 2>&1 ||
        apt-get -o APT::Sandbox::User=root download "$1=$(apt-cache madison "$1" | awk 'NR == 1 { print $3 }')" >/dev/null; })
}
for p in $KPKG $GUEST_PKGS; do fetch "$p"; done

stamp=$( (ls debs; cat "$LAB_DIR"/build.sh "$LAB_DIR"/src/*) | sha256sum | cut -d' ' -f1)
if [ "${1:-}" != --force ] && [ -e stamp ] && [ "$(cat stamp)" = "$stamp" ]; then
    echo "up to date: $LAB_OUT/vmlinux $LAB_OUT/initramfs.cpio ($KVER)"; exit 0
fi

# --- own programs ------------------------------------------------------------
gcc -O2 -Wall -static -o agent "$LAB_DIR/src/agent.c"
gcc -O2 -Wall -o peer "$LAB_DIR/src/peer.c" -lsctp -lpthread

# --- kernel: unpacked, so that QEMU starts it by PVH without decompressing it
rm -rf pkg root && mkdir -p pkg root
for p in $KPKG $GUEST_PKGS; do
    for f in debs/"$p"_*.deb; do dpkg-deb -x "$f" pkg; break; done
done
off=$(LC_ALL=C grep -aboP '\xfd7zXZ\x00' "pkg/boot/vmlinuz-$KVER" | head -1 | cut -d: -f1)
tail -c +$((off + 1)) "pkg/boot/vmlinuz-$KVER" | xz -dc > vmlinux 2>/dev/null || true
[ "$(head -c 4 vmlinux | tail -c 3)" = ELF ]

# --- initramfs ---------------------------------------------------------------
R=$LAB_OUT/root
mkdir -p "$R"/{bin,dev,proc,sys,run/netns,tmp,etc,root,lib64,usr/lib/x86_64-linux-gnu,lib/modules}
ln -s bin "$R/sbin"; ln -s ../bin "$R/usr/bin"; ln -s ../bin "$R/usr/sbin"
ln -s ../usr/lib/x86_64-linux-gnu "$R/lib/x86_64-linux-gnu"
cp pkg/bin/busybox "$R/bin/"
for a in $("$R/bin/busybox" --list); do [ "$a" = busybox ] || ln -sf busybox "$R/bin/$a"; done

find_lib() { for d in pkg/lib/x86_64-linux-gnu pkg/usr/lib/x86_64-linux-gnu; do [ -e "$d/$1" ] && { echo "$d/$1"; return; }; done; true; }
add_libs() {
    local l f
    for l in $(readelf -d "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        [ -e "$R/usr/lib/x86_64-linux-gnu/$l" ] && continue
        f=$(find_lib "$l"); [ -n "$f" ] || { echo "no library $l for $1" >&2; return 1; }
        cp -L "$f" "$R/usr/lib/x86_64-linux-gnu/$l"
        add_libs "$f"
    done
}
add_bin() { rm -f "$R/bin/$(basename "$1")"; cp -L "$1" "$R/bin/"; add_libs "$1"; }
cp -L pkg/lib64/ld-linux-x86-64.so.2 "$R/lib64/"
for b in usr/bin/{rspregistrar,rspserver,rspterminal,hsdump,pingpongclient,sctp_test,sctp_darn} \
         sbin/{ethtool,tc} bin/{ip,ss,dash,kmod} usr/bin/{timeout,nohup,env,nice,setsid,stdbuf}; do
    add_bin "pkg/$b"
done
# busybox prefers its applets to the real ip, sh: dash for sh, and real wrappers
ln -sf dash "$R/bin/sh"
for a in modprobe lsmod insmod rmmod modinfo; do ln -sf kmod "$R/bin/$a"; done
cp agent "$R/bin/"
add_bin peer
# For stdbuf, which preloads it.
mkdir -p "$R/usr/libexec/coreutils" && cp pkg/usr/libexec/coreutils/libstdbuf.so "$R/usr/libexec/coreutils/"

# kernel modules with what they need
depmod -b pkg "$KVER"
MODS="virtio_pci virtio_net virtio_rng af_packet crc32c_generic libcrc32c sctp sctp_diag veth bridge sch_netem"
for m in $MODS; do
    modprobe -d "$LAB_OUT/pkg" -S "$KVER" --show-depends "$m" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p' || true
done | sort -u | while read -r f; do
    t=$R/lib/modules/$KVER/${f#*/lib/modules/$KVER/}
    mkdir -p "$(dirname "$t")"; cp "$f" "$t"; strip -g "$t"
done
cp pkg/lib/modules/"$KVER"/modules.{order,builtin,builtin.modinfo} "$R/lib/modules/$KVER/"
depmod -b "$R" "$KVER" 2>/dev/null

echo 'root:x:0:0:root:/root:/bin/sh' > "$R/etc/passwd"
echo 'root:x:0:' > "$R/etc/group"
echo 'labguest' > "$R/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n' > "$R/etc/hosts"
printf 'sctp 132 SCTP\ntcp 6 TCP\nudp 17 UDP\n' > "$R/etc/protocols"
cp "$LAB_DIR/src/init.sh" "$R/init"; chmod 755 "$R/init"
cp "$LAB_DIR/src/guest-lib.sh" "$R/bin/lab"; chmod 755 "$R/bin/lab"
(cd "$R" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) > initramfs.cpio
echo "$KVER" > kver
echo "$stamp" > stamp
ls -la vmlinux initramfs.cpio
