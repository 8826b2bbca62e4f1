"""Layout: positions in numbers, without drawing: lanes, pixels, folded time, storylines."""
