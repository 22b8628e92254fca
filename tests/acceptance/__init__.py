"""Whole stories, as a person at a terminal lives them."""
