"""The controller with real processes, killed at any moment."""
