"""Answer over HTTP: the REST interface, the stream of events, and what operators look at."""
