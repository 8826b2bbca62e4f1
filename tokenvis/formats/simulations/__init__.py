"""Simulations: the location of each agent at each step of a simulated world."""
