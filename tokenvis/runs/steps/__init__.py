"""The steps of two runs: in order, matched in pairs, and how the steps of a pair differ."""
