"""What every twin of a port must do alike."""
