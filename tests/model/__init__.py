"""Test the nouns."""
