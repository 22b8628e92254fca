"""Tests of the web pages, on a real Chromium before a real service that ran a real workflow."""
