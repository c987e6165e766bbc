#!/usr/bin/env bash
# Installs the C library: header, shared library with its links, static library, pkg-config file.
#
#     ./install.sh                                        into /usr/local
#     PREFIX=/usr LIBDIR=/usr/lib64 DESTDIR=stage ./install.sh
#
# PREFIX      where it will be used from; default /usr/local
# LIBDIR      where the libraries go; default PREFIX/lib
# INCLUDEDIR  where the header goes; default PREFIX/include
# DESTDIR     put in front of all of these, for packages; default nothing
# LIBRARY     a folder with libbmclink.so and libbmclink.a; default: builds them, for production
#             (FEATURES="capi sim" has the simulated BMCs too)
# STRIP       what takes debugging information out of the shared library (and of the static one);
#             default "strip --strip-unneeded", empty to leave it in
set -euo pipefail
cd "$(dirname "$0")"

prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
includedir=${INCLUDEDIR:-$prefix/include}
root=${DESTDIR:-}
strip=${STRIP-strip --strip-unneeded}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
# The major number of the interface: what BMCLINK_ABI_VERSION is, divided by 65536.
soname=libbmclink.so.0

if [ -z "${LIBRARY:-}" ]; then
    cargo build --release --locked --lib --no-default-features --features "${FEATURES:-capi}"
    LIBRARY=${CARGO_TARGET_DIR:-target}/release
fi

install -d "$root$libdir/pkgconfig" "$root$includedir"
install -m 644 include/bmclink.h "$root$includedir/bmclink.h"
install -m 644 "$LIBRARY/libbmclink.a" "$root$libdir/libbmclink.a"
install -m 755 "$LIBRARY/libbmclink.so" "$root$libdir/libbmclink.so.$version"
if [ -n "$strip" ]; then
    $strip "$root$libdir/libbmclink.so.$version"
    strip --strip-debug "$root$libdir/libbmclink.a"
fi
ln -sf "libbmclink.so.$version" "$root$libdir/$soname"
ln -sf "$soname" "$root$libdir/libbmclink.so"

# Relative to the prefix where it can be, so that a tree can be moved.
under_prefix() { case $1 in "$prefix"/*) echo "\${prefix}${1#"$prefix"}" ;; *) echo "$1" ;; esac; }
sed -e "s|@PREFIX@|$prefix|" -e "s|@LIBDIR@|$(under_prefix "$libdir")|" \
    -e "s|@INCLUDEDIR@|$(under_prefix "$includedir")|" -e "s|@VERSION@|$version|" \
    include/bmclink.pc.in >"$root$libdir/pkgconfig/bmclink.pc"

size=$(stat -c %s "$root$libdir/libbmclink.so.$version")
echo "installed bmclink $version in $root$prefix; libbmclink.so.$version has $((size / 1024)) KiB"
[ -n "$root" ] || echo "a new shared library is found after: ldconfig"
