"""Date and number formats for each language, where they differ from Django's."""
