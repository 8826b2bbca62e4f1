"""Fleets: the questions over millions of traces, from folders of Parquet files and databases, on several processes or an engine.

A function of tokenvis answers many traces at once, at a small part of the cost of a call for each. So a fleet hands it parts of
about 100,000 spans, in which every trace is whole.
"""
