"""Artists: the parts of pictures: bars, lines, matrices, markers, axes, names, legends, colours."""
