"""Histories of every path, kept and replayed: yesterday's orders must run on today's code."""
