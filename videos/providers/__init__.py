"""Clients of video providers behind one interface, `base.Provider`, with one error tree, `errors`.
The pipeline calls it and changes tasks by what it reports. Nothing here uses Django, our tables or users' credits.
"""
