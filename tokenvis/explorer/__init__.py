"""The explorer: an interactive timeline, as a widget in a notebook and as a page of its own."""
