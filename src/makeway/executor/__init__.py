"""Make workers real: the port, its messages, and local processes behind it."""
