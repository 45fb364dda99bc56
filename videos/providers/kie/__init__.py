"""The provider kie.ai: client, callbacks, error codes, price feed, and the parsing of its replies.
Called by the pipeline through `client`, `callback` and `prices`. It never retries and keeps no state.
"""
