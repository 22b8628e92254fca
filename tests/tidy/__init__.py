"""The rules of the house as functions: source in, complaints out (tests/test_tidy.py applies them)."""
