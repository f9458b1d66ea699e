"""The file tool that Modal puts into every sandbox, as far as its client's commands are used here."""

import json
import shutil
import stat
import sys
from pathlib import Path


def main(command: str) -> int:
    """Carry out one command."""
    ((operation, arguments),) = json.loads(command).items()
    path = Path(arguments["path"])
    try:
        if operation == "WriteFile":
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        elif operation == "ReadFile":
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
        elif operation == "ListFiles":
            sys.stdout.write(json.dumps([_entry(each) for each in sorted(path.iterdir())]))
        else:
            return _failed("Unsupported")
    except OSError as error:
        return _failed(type(error).__name__)
    return 0


def _entry(path: Path) -> dict[str, object]:
    found = path.lstat()
    kind = "directory" if stat.S_ISDIR(found.st_mode) else "symlink" if stat.S_ISLNK(found.st_mode) else "file"
    return {
        "name": path.name,
        "path": str(path),
        "type": kind,
        "size": found.st_size,
        "mode": found.st_mode,
        "permissions": stat.filemode(found.st_mode),
        "owner": "root",
        "group": "root",
        "modified_time": found.st_mtime,
        "symlink_target": str(path.readlink()) if kind == "symlink" else None,
    }


def _failed(kind: str) -> int:
    sys.stderr.write(json.dumps({"error_kind": kind, "message": kind}))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
