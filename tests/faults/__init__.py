"""Faults on purpose: whoever is killed, stopped or cut off, nothing that was promised is lost."""
