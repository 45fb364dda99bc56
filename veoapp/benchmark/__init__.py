"""The benchmark of the operators' dashboard over a long history, in a scratch database that is dropped afterwards.

Called by `manage.py benchmark` only; it never touches the rows of the real database.
"""
