"""Formats: bytes to spans, and back. One place a format, with its reader and its writer; `registry` lists them all."""
