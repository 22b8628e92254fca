"""Why an attempt ended, and what is done about it."""
