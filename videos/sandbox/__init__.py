"""A local simulation of kie.ai: the same HTTP API, playable videos, and faults that can be switched on ("ordered").

It does not depend on Django or on the application that calls it. Start it with `python -m videos.sandbox` or
`manage.py sandbox` and use the address it prints as the base URL. It costs nothing and only uses loopback.
"""
