"""Findings: what a trace shows about itself. Doubts about its data, and what its agents do that loses time or money."""
