"""Keep what happened: the log, the views folded from it, series, artifacts. Imports nothing."""
