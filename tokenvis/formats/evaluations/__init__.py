"""Evaluations: logs of evaluations of models."""
