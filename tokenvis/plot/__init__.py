"""Plot: a picture a file, drawn from the tables of analysis and layout; no arithmetic on spans."""
