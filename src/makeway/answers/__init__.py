"""Answer what people ask about a cluster as it is now, simulated or real: shares, waits."""
