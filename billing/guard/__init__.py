"""The checks before money is spent: refusals when a video is ordered, waits before a job is sent.

`checks` is called by ordering and by dispatch. The circuit breaker, user holds and the spending monitor (`anomalies`)
record why new jobs are stopped. The guard never sends, charges or cancels a job itself.
"""
