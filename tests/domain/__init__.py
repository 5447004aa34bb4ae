"""Tests of the rules alone: no database, no engine, no clock."""
