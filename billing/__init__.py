"""The money of the site: users' credits, prices, what the provider charges, budgets, reconciliation and alerts.

The apps `videos` and `veoapp` may call this app. It never opens a network connection and does not know what a video is:
it knows a *job* (the making of one video) only by an id and a reference.
"""
