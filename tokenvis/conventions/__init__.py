"""Conventions: what the names of others mean, in files and in running programs: agents, locations, kinds, tokens, times."""
