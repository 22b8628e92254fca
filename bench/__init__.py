"""Measure what has a budget; `make bench` prints all of it."""
