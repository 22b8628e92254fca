"""Test what lives around and inside the processes of a job."""
