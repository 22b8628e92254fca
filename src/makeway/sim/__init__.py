"""The other world: virtual time, made-up workers and faults, under the very same engine."""
