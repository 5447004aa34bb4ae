"""Two carriers with zones, prices, transit days and cut-offs: labels, voids and signed tracking webhooks."""
