"""Times in pictures: durations as text, ticks, and the axis."""
