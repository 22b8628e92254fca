"""Ask a makeway service over HTTP, from Python and from the command line."""
