"""Simulations: who was where at each step of a simulated world."""
