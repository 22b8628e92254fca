"""Workflows: their graph, what a selection takes, what a step's output is known by."""
