"""Clients of video providers behind one interface, `base.Provider`, with one error tree, `errors`.
The pipeline calls it and turns its reports into job states. Nothing here knows Django, our tables or users' credits.
"""
