"""Conventions: rules that map source records to agents, locations, kinds, tokens and times."""
