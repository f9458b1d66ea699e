#!/usr/bin/env bash
# The demo: five services embedded, the media plan, its verification, its outputs; nothing is left running.
#
#     deploy/run.sh              # the runtime `local` where a container engine answers, else `process`
#     deploy/run.sh RUNTIME      # local, process or mock
#
# State lies in ./.theory, or where THEORY_HOME says. `make run RUNTIME=...` is the same.
set -euo pipefail
cd "$(dirname "$0")/.."

# make has set up before it comes here.
[ -n "${MAKELEVEL:-}" ] || make --silent --no-print-directory setup

exec .venv/bin/python deploy/run.py ${1:+"$1"}
