"""The other world: the engine under virtual time, made-up workloads and faults."""
