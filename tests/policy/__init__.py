"""Test the decisions: text tables for the rules, properties for what must always hold."""
