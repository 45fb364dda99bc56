"""The drawn films: a small landscape painter working in the planes of the video itself. Seeded, so repeatable."""
