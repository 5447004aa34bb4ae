"""The user's cache folder, where programs that the stack had to obtain are kept for every checkout."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """``doorstep`` in the user's cache folder; not necessarily there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "doorstep"
