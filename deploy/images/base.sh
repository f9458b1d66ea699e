#!/bin/sh
# The base image of processors, built from Debian packages: Python 3.11, its libraries, a busybox shell.
#
#     sh deploy/images/base.sh             # imports theory-base:bookworm into the engine of DOCKER_HOST
#     sh deploy/images/base.sh NAME:TAG    # under another name
#     sh deploy/images/base.sh --tar FILE  # only writes the root file system, for other tools
#
# No image registry, no debootstrap, no maintainer scripts, no chroot, no root: packages are unpacked into a directory and
# imported as one layer. The same package versions give the same bytes, so the image's layer is a name for its content. A
# second run with unchanged packages does nothing. Needs apt-get (Debian 12 or a derivative), dpkg-deb, sha256sum and docker.
set -eu
umask 022

# libstdc++6 and libgcc-s1 are what manylinux wheels may expect of a system; the others are what the standard library loads.
packages="
  libc6 libgcc-s1 libstdc++6
  libbz2-1.0 libcrypt1 libexpat1 libffi8 liblzma5 libsqlite3-0 libssl3 libuuid1 zlib1g
  python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3.11
  busybox-static ca-certificates media-types tzdata"

die() { echo "base.sh: $*" >&2; exit 1; }

image=theory-base:bookworm
tar=
case "${1:-}" in
  --tar) tar=$(realpath "${2:?--tar needs a file}") ;;
  -*) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
  ?*) image=$1 ;;
esac

for tool in apt-get apt-cache dpkg-deb sha256sum; do
  command -v "$tool" > /dev/null || die "no $tool here. Any image with Python 3.11 or newer serves as base: name it instead."
done

# What the layer depends on: the versions to be unpacked, and this recipe.
# shellcheck disable=SC2086 # one argument per package
versions=$(apt-cache show --no-all-versions $packages 2> /dev/null | sed -n 's/^\(Package\|Version\|SHA256\): //p')
for package in $packages; do
  echo "$versions" | grep -qxF "$package" || die "apt knows no $package: run 'apt-get update', on Debian 12"
done
inputs=$( (echo "$versions"; cat "$0") | sha256sum | cut -d' ' -f1)

if [ -z "$tar" ]; then
  command -v docker > /dev/null || die "no docker client here"
  docker version > /dev/null 2>&1 || die "the engine does not answer; DOCKER_HOST=${DOCKER_HOST:-the default}"
  # No image by that name is the ordinary case.
  known=$(docker image inspect --format '{{index .Config.Labels "theory.base.inputs"}}' "$image" 2> /dev/null || true)
  if [ "$known" = "$inputs" ]; then
    echo "$image is up to date"
    exit 0
  fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
tree=$work/tree
mkdir "$work/debs" "$tree"

# apt's own sandbox user may not write into our directory; the signature and hash checks stay.
# shellcheck disable=SC2086 # one argument per package
(cd "$work/debs" && apt-get download -q -o APT::Sandbox::User=root $packages) > "$work/log" 2>&1 \
  || { cat "$work/log" >&2; die "the packages could not be fetched"; }

# The merged-usr links come first: packages unpack through them.
cd "$tree"
mkdir -p usr/bin usr/lib usr/lib64 usr/sbin etc/ssl/certs dev proc root run sys tmp var/tmp work
for name in bin lib lib64 sbin; do ln -s "usr/$name" "$name"; done
chmod 1777 tmp var/tmp

for deb in "$work"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -xp --no-same-owner --keep-directory-symlink \
    --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/lintian/*' \
    --exclude='./usr/share/locale/*' --exclude='./usr/share/initramfs-tools/*' --exclude='./usr/share/applications/*' \
    --exclude='./usr/share/pixmaps/*'
done

ln -s busybox usr/bin/sh
ln -s python3.11 usr/bin/python3
ln -s python3 usr/bin/python
# The package builds this bundle in a script; the host's own may hold authorities that are nobody else's business.
find usr/share/ca-certificates -name '*.crt' | LC_ALL=C sort | xargs cat > etc/ssl/certs/ca-certificates.crt
cat > etc/passwd << 'END'
root:x:0:0:root:/root:/bin/sh
processor:x:65532:65532:processor:/tmp:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/sh
END
cat > etc/group << 'END'
root:x:0:
processor:x:65532:
nogroup:x:65534:
END

# Compiled once here, not at each start: the container's root file system is read-only. Hash-based files hold no times.
libraries=$(echo usr/lib/*-linux-gnu*)
loader=$(find "$libraries" -maxdepth 1 -type f -name 'ld-linux*')
env -i PYTHONHOME="$tree/usr" PYTHONHASHSEED=0 "./$loader" --library-path "$tree/$libraries" \
  usr/bin/python3.11 -B -S -s -m compileall -q -f -p / --invalidation-mode unchecked-hash usr/lib/python3.11 \
  > "$work/log" 2>&1 || { cat "$work/log" >&2; die "the standard library does not compile"; }

layer=${tar:-$work/layer.tar}
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu -cf "$layer" .
digest=sha256:$(sha256sum "$layer" | cut -d' ' -f1)

if [ -n "$tar" ]; then
  echo "$layer $digest"
  exit 0
fi
docker import \
  -c 'CMD ["python3"]' \
  -c 'ENV PATH=/usr/bin:/usr/sbin LANG=C.UTF-8 PYTHONUTF8=1 PYTHONDONTWRITEBYTECODE=1 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
  -c "LABEL theory.base.inputs=$inputs theory.base.layer=$digest" \
  "$layer" "$image" > "$work/log" 2>&1 || { cat "$work/log" >&2; die "the engine refused the import"; }
echo "$image imported, layer $digest"
