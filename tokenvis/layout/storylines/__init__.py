"""Storylines: a line for each agent, with few crossings: layers, orders, heights, curves."""
