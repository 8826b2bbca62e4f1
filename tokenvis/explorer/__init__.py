"""The explorer: an interactive timeline, as a notebook widget and as a standalone HTML page."""
