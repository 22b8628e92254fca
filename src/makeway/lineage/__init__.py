"""Ask what was made of what: the language of searches, and the graph of what led to what."""
