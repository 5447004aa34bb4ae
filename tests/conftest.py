"""Fixtures that every test may use: a real PostgreSQL and a real Temporal server."""

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.temporal"]
