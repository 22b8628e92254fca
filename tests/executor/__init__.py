"""The executor's parts that need no process."""
