"""The checks before money is spent: an order may be refused, and a job may have to wait before it is sent.

`checks` is called by ordering and by dispatch. The circuit breaker, user holds and the spending monitor (`anomalies`)
record why new jobs are stopped. The guard never sends, charges or cancels a job itself.
"""
