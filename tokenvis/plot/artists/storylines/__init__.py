"""The artists of storylines: lines, rooms behind them, names, and whether all this can be followed."""
