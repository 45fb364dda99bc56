"""Which callbacks are sent about a task: the true one in kie.ai's shape, every variant of it, and the forgeries.

Lifecycle calls `send` when a task or an upgrade has ended. Nothing here decides how a task ends or changes its state.
"""
