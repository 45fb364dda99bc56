"""Date and number formats of Chinese."""
