"""Pictures of several runs beside each other: of two on one time axis, and of many as dots."""
