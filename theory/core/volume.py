"""What volumes may be called, and how many a plan may have."""

import re

from theory.core.errors import Invalid, shown

MAX_PLAN_VOLUMES = 32
MAX_NAME_CHARACTERS = 40

_is_name = re.compile(rf"[a-z][a-z0-9-]{{0,{MAX_NAME_CHARACTERS - 1}}}").fullmatch


def volume_name(text: str) -> str:
    """The name, as it is; `Invalid` (`VOLUME_NAME_INVALID`) where it is none."""
    if _is_name(text):
        return text
    rule = f"the name of a volume has 1 to {MAX_NAME_CHARACTERS} characters of a-z, 0-9 and '-', the first a letter"
    raise Invalid("VOLUME_NAME_INVALID", rule, value=shown(text))
