"""The client of a service, against servers that break on purpose."""
