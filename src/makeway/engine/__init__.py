"""The sans-io heart: events in, events and effects out; the same one live and simulated."""
