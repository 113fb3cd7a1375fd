#!/bin/sh
# Installs Debian packages where a command is missing: tools/apt.sh "gcc clang" "gcc clang".
# $1: commands that must exist; $2: packages that bring them.
set -eu
missing=
for command in $1; do
    command -v "$command" >/dev/null 2>&1 || missing="$missing $command"
done
[ -e /usr/lib/picolibc/riscv64-unknown-elf ] || missing="$missing picolibc"
case $(clang -print-file-name="libclang_rt.fuzzer-$(uname -m).a" 2>/dev/null) in
/*) ;;
*) missing="$missing libfuzzer" ;;
esac
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$missing; install them with your system's package manager (see README.md)" >&2
    exit 1
fi
echo "installing for:$missing" >&2
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get -o DPkg::Lock::Timeout=600 update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends $2 >/dev/null
