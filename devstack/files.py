"""Files that only their owner may read, replaced as a whole so that a reader never sees half of one."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace *path* by *text* atomically, with mode 0600 from the first byte on."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
