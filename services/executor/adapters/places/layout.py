"""What an attempt's place consists of: the names in it, who the processor is, and the script that exports secrets."""

WORLD = "world"
OUT = "out"
RUN = "run"
SECRETS = "secrets"
LOG = ".log"
"""Where a runtime keeps what the processor prints, if nobody else does: in memory where there are secrets."""
SOCKET = "theory.sock"
ABOUT = "attempt.json"
"""Who the attempt is: what it has to name when it asks over the socket."""
VOLUMES = "volumes"
CONTEXT = "context.json"
ENTRYPOINT = "entrypoint.sh"
MARKER = ".place"
"""Written last: a place without it is not complete."""

PROCESSOR_UID = 65532
"""Who a processor is inside its container, where the executor may choose; its group has the same number."""

# Builtins and cat alone, so that no value stands in an argument list. The x keeps newlines at the end of a value.
ENTRYPOINT_SCRIPT = b"""\
#!/bin/sh
# Exports every secret of this attempt, then becomes the command.
set -eu
for file in "${THEORY_WORK_DIR:-/work}"/run/secrets/*; do
  [ -f "$file" ] || continue
  value=$(cat "$file" && printf x)
  export "${file##*/}=${value%x}"
done
unset file value
exec "$@"
"""
