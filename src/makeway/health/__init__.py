"""Conclude why an attempt ended and what is to be done about it; pure."""
