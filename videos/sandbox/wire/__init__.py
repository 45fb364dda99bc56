"""The shapes on the wire: requests and replies, envelopes, the provider's sentences, and the delivery of callbacks.

Everything above may build messages with it. It knows no tasks, no prices and no files, and connects to this machine only.
"""
