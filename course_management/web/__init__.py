"""What every view shares, each said once."""
