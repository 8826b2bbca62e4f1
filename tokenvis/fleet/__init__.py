"""Fleets: the questions over millions of traces, in folders of Parquet files and databases, on processes or an engine.

A function of tokenvis answers many traces at once, at a small part of the cost of a call for each. So a fleet hands it parts of
about 100,000 spans, in which every trace is whole.
"""

from tokenvis.fleet.adapter import mapper

__all__ = ["mapper"]
