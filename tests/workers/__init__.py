"""The relays of the worker that speak to the outside."""
