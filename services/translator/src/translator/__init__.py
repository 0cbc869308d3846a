"""Transcript in, translation out; one file per provider."""
