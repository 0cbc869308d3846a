"""Bytes of any kind in, 16 kHz mono segments out."""
