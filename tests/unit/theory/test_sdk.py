"""What `theory.sdk` offers by itself, and what it loads for that."""

import subprocess
import sys
from pathlib import Path

import pytest

from theory import sdk

_ROOT = Path(sdk.__file__).parents[2]
_LOADS_NOTHING = """
import sys
import theory.sdk.processor
loaded = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names - {"theory", "__main__"}
sys.exit(f"loaded {sorted(loaded)}" if loaded else 0)
"""


def test_every_name_that_is_offered_is_there() -> None:
    assert set(sdk._MODULE_BY_NAME) == set(sdk.__all__)
    assert all(getattr(sdk, name).__name__ == name for name in sdk.__all__)
    assert set(sdk.__all__) <= set(dir(sdk))


def test_a_name_that_is_not_offered_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = sdk.Nothing


@pytest.mark.slow
def test_a_processor_needs_the_standard_library_only() -> None:
    # -S: without what the environment installs, as in a container; the package itself is found here.
    command = [sys.executable, "-S", "-c", _LOADS_NOTHING]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT)
    assert ended.returncode == 0, ended.stderr
