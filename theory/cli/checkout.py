"""Where the services are: in a checkout of Theory; the installed package has the client alone."""

from pathlib import Path

import theory


def checkout() -> Path | None:
    """The checkout that this package stands in; None where it was installed without one."""
    root = Path(theory.__file__).resolve().parents[1]
    return root if (root / "services" / "__main__.py").is_file() else None
