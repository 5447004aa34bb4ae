"""The outside world and the adapters that talk to it."""
