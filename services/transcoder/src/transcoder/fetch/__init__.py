"""Bytes from an address a user named: fetched behind the guard, under limits, without a word of the address."""
