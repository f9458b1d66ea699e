#!/usr/bin/env bash
# A Docker Engine of one's own, for tests on a machine that has none: every file of it lives in one directory.
#
#     deploy/engine.sh start DIR    # starts dockerd, waits until it answers, prints its DOCKER_HOST; more options are its own
#     deploy/engine.sh stop DIR     # ends it with its containers and removes DIR
#     deploy/engine.sh install      # the Debian packages it needs
#
# Needs root. Nothing is shared with an engine of the system but the docker0 bridge.
set -euo pipefail

ready_within_s=60
stopped_within_s=30

say() { echo "engine: $*" >&2; }
die() { say "$*"; exit 1; }

install_packages() {
  [ "$(id -u)" = 0 ] || die "installing docker.io needs root"
  command -v apt-get > /dev/null || die "no apt-get here: install a Docker Engine by hand"
  export DEBIAN_FRONTEND=noninteractive
  # Programs are wanted, not the services that their packages start.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod 0755 /usr/sbin/policy-rc.d
  fi
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends docker.io docker-registry iptables busybox-static > /dev/null
  # From Debian 13 on, the client is a package of its own.
  command -v docker > /dev/null || apt-get install -y -qq --no-install-recommends docker-cli > /dev/null
}

# The engine's own PATH entry may be missing for a user's shell.
dockerd_path() { PATH="$PATH:/usr/sbin:/sbin" command -v dockerd; }

start() {
  local dir=$1 dockerd
  shift
  dockerd=$(dockerd_path) || die "no dockerd: run '$0 install' first"
  [ "$(id -u)" = 0 ] || die "dockerd needs root"
  [ ! -S "$dir/docker.sock" ] || ! answers "$dir" || die "one already runs in $dir"
  [ "${#dir}" -le 60 ] || die "the directory's path is too long for the unix sockets in it"
  mkdir -p "$dir"
  chmod 0755 "$dir" # sockets inside are closed by their own mode

  # Its children must be its own: no containerd of the system, and none of this shell's descriptors.
  PATH="$PATH:/usr/sbin:/sbin" setsid "$dockerd" \
    --host "unix://$dir/docker.sock" --group root \
    --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
    --userland-proxy=false --log-level warn "$@" \
    > "$dir/log" 2>&1 < /dev/null &
  local pid=$!

  local deadline=$((SECONDS + ready_within_s))
  until answers "$dir"; do
    kill -0 "$pid" 2> /dev/null || { tail -n 20 "$dir/log" >&2; die "dockerd ended at once"; }
    ((SECONDS < deadline)) || { tail -n 20 "$dir/log" >&2; stop "$dir"; die "no answer within $ready_within_s s"; }
    sleep 0.2
  done
  echo "unix://$dir/docker.sock"
}

answers() { DOCKER_HOST="unix://$1/docker.sock" docker version > /dev/null 2>&1; }

stop() {
  local dir=$1 pid deadline containers
  [ -d "$dir" ] || return 0
  if pid=$(cat "$dir/docker.pid" 2> /dev/null) && kill -0 "$pid" 2> /dev/null; then
    if containers=$(DOCKER_HOST="unix://$dir/docker.sock" docker ps --quiet 2> /dev/null) && [ -n "$containers" ]; then
      # shellcheck disable=SC2086 # one argument per container
      DOCKER_HOST="unix://$dir/docker.sock" docker kill $containers > /dev/null 2>&1 || say "some containers had ended"
    fi
    kill -TERM "$pid"
    deadline=$((SECONDS + stopped_within_s))
    while kill -0 "$pid" 2> /dev/null; do
      ((SECONDS < deadline)) || { say "dockerd did not end within $stopped_within_s s"; kill -KILL "$pid"; break; }
      sleep 0.1
    done
  fi
  # What a killed container left mounted would make the removal fail.
  awk -v dir="$dir/" 'index($2, dir) == 1 {print $2}' /proc/mounts | sort -r | while read -r mounted; do
    umount -l "$mounted"
  done
  rm -rf "$dir"
}

case "${1:-}" in
  install) install_packages ;;
  start) start "${2:?a directory}" "${@:3}" ;;
  stop) stop "${2:?a directory}" ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
