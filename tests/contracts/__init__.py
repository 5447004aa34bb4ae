"""Tests of what goes over the wire: what was written yesterday must be read tomorrow."""
