"""Fixtures that every test may use: a real PostgreSQL and a real Temporal server; properties that are searched alike."""

import os

from hypothesis import settings

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.temporal"]

# The same examples every time, so that a change is judged by itself; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
