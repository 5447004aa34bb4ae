"""The same stack while its processes are killed and the world around it fails."""
