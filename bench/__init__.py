"""Measurements of the whole: ratios against the bare engine first, costs per order, and the machine they were taken on."""
