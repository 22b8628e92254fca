"""Tests of searches and of the graph of artifacts."""
