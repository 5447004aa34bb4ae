"""Tests of the order's workflow on a real engine, in the strict sandbox, against a real PostgreSQL."""
