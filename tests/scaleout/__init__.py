"""Workers on the nodes of a real Ray cluster, several of whose nodes are on this machine."""
