"""A watched folder: what appears in it is submitted, once."""
