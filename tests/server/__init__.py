"""Hold the REST interface to its word, over real sockets, in front of a real service."""
