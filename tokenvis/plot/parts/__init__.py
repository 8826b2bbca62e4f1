"""The parts of the overview that are not pictures of their own: key numbers, and rows of agents, fan-outs and locations."""
