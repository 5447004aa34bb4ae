"""Whole orders over the whole stack: processes, HTTP, Temporal, the outside world."""
