"""Train with any number of workers: what the user's own program imports."""
