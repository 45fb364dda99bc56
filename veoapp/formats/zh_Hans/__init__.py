"""Chinese numbers."""
