"""Evaluations: logs of model evaluations."""
