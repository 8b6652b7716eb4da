#!/usr/bin/env bash
# ci/base_image.sh TAG ARCHIVE: a local stand-in for python:3.11-slim, made of Debian packages (root, debootstrap).
# The root file system is kept in ARCHIVE, so that it is made once.
set -euo pipefail
tag=$1 archive=$2
docker=${DOCKER:-docker}

"$docker" image inspect "$tag" >/dev/null 2>&1 && exit 0

# A URI in apt's old one-line or its newer multi-line format; the first Debian mirror found is used.
mirror=$(sed -nE 's/^(deb( \[[^]]*\])?|URIs:) +([^ ]+\/debian)\/?( .*)?$/\3/p' \
    $(find /etc/apt -name '*.list' -o -name '*.sources') | head -1)

make_root() {
    local root=$1
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
        bookworm "$root" "$mirror" >"$archive.log" 2>&1 || { tail -20 "$archive.log" >&2; return 1; }
    # Certificates that this machine trusts beside Debian's own; installed as local ones they survive an update.
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$root/usr/local/share/ca-certificates" {} + 2>/dev/null || true
    chroot "$root" update-ca-certificates >/dev/null 2>&1
    # As in the public image, pip may install into the system, and `python` is Python 3.
    rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
    ln -s python3 "$root/usr/bin/python"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/{doc,info,man} "$root/etc/resolv.conf"
}

if [ ! -s "$archive" ]; then
    mkdir -p "$(dirname "$archive")"
    work=$(mktemp -d "$(dirname "$archive")/rootfs.XXXXXX")
    trap 'rm -rf --one-file-system "$work"' EXIT
    make_root "$work"
    # Modification times are kept: with changed ones every compiled Python file would be stale and start-up slow.
    tar -C "$work" --numeric-owner --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -cf "$archive.part" .
    mv "$archive.part" "$archive"
fi
certificates=/etc/ssl/certs/ca-certificates.crt
"$docker" import --change "ENV LANG=C.UTF-8 SSL_CERT_FILE=$certificates PIP_CERT=$certificates" \
    --change 'CMD ["python3"]' "$archive" "$tag" >/dev/null
