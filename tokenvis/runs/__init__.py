"""Questions over many runs: what changed from one to the next, which are slow, and why. A run is a trace."""
