"""The terminal: commands, their output, their exit codes."""
