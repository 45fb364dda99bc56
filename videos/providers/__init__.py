"""Clients of video providers behind one interface, `base.Provider`, with one error tree, `errors`.
Called by the pipeline, which turns answers into states. Nothing here knows Django, our tables or users' credits.
"""
