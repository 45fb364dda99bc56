"""The checks of the books: every invariant that our own rows can prove.

Other apps register checks of their own with `runner`. A check reports problems and never repairs them.
"""
