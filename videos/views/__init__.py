"""The users' pages: studio, gallery, video page and private files.

A view parses and authorises the request, calls one function of `ordering`, `actions` or `presentation`, and responds; it
never writes status or money itself.
"""
