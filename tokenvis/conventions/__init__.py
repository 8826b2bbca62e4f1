"""Conventions: what names in files and running programs mean: agents, locations, kinds, tokens, times."""
