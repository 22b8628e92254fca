"""What makeway promises, written as programs."""
