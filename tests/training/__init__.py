"""Training with any number of workers."""
