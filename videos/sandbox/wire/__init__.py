"""HTTP messages: requests and replies, envelopes, the provider's texts, and the delivery of callbacks.

All other packages of the sandbox may use it. It knows no tasks, prices or files, and connects to this machine only.
"""
