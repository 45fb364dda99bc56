"""The worker process: a supervisor, the sweep that enqueues whatever is due, and the jobs themselves.
Started by the commands `worker` and `cluster`. Jobs take no arguments and only call other packages, which do the work.
"""
