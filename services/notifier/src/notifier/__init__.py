"""Recorded outcomes in, signed webhooks out."""
