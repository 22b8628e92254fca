"""Decide who runs now: a pure function from a snapshot to a plan."""
