"""Builds and sends the callbacks about a task: the genuine one in kie.ai's format, its variants, and forgeries.

`lifecycle` calls it when a task or an upgrade has ended. Nothing here changes the state of a task.
"""
