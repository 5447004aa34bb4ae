"""Server-sent events: what happens to orders, told as it happens; resumable, and bounded for every reader."""
