"""Layout: where things go, in numbers: lanes, pixels, folded time, storylines."""
