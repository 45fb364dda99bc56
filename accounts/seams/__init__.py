"""The sources of time, randomness and crashes, which tests replace so that a run can be repeated exactly.

`clock` is the time, `randomness` creates secrets and ids, and `failpoints` are named points where a test stops the process.
Every app uses these modules instead of the machine's clock and Python's random modules. Tests replace the network at
`videos.providers.http.exchange`.
"""
