"""The migrations and the models say the same."""

import os
import subprocess
import sys

from devstack.children import ROOT


def test_the_migrations_make_exactly_what_the_models_say(database_url: str):
    command = [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), "check"]

    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
