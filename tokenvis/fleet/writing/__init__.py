"""Writing: traces of any source into the folder of a fleet, and the public `export`."""
