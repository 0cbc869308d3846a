"""Segments in, one transcript out; one file per provider."""
