"""Plot: one picture per file, drawn from the tables of analysis and layout; no arithmetic on spans."""
