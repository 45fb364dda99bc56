"""A local stand-in for kie.ai: the same wire, real videos, and every fault that can be ordered.

It knows nothing of the application that calls it, nor of Django: start it with `python -m videos.sandbox`
or `manage.py sandbox`, point any client at the address it prints. It bills nobody and never leaves loopback.
"""
