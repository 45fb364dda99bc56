"""The states of a video task and what moves it between them, with its credits, events and counts in the same transaction.
Orders, the pipeline and the actions of owners and operators call it. It never calls the network or touches files.
"""
