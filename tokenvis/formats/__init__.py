"""Formats convert files to spans and back. Each is a module or a folder with a reader and a writer; `registry` lists them."""
