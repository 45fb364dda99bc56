"""The doors to the world outside the process: time, chance, and places where a process may die.

They stand in the lowest app because every app walks through them and imports run one way.
The network's door is `videos.providers.http.exchange`.
"""
