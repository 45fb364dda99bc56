"""API tokens: created once, shown once, stored as a hash, and checked on each request.

`services` is the only writer of `ApiToken`; pages, commands and API views call it. `secret` does not import Django, so
that logging can mask tokens before Django is set up.
"""
