"""Tests of activities against a real PostgreSQL and providers that can fail on purpose."""
