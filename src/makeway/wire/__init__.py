"""Give the shapes of what is said between the service, its clients and the command line."""
