"""The real world: the loop that drives the engine with clocks, disks and processes."""
