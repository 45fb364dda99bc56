"""Date and time formats of English."""
