"""Artists: what the pictures are made of: bars, strands, matrices, markers, axes, names, legends, colours."""
