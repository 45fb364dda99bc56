"""Changes the status of video tasks; each change also writes its credits, events and counts, in the same transaction.
Orders, the pipeline and the actions of owners and operators call it. It never calls the network or touches files.
"""
