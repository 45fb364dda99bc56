"""The product around the apps: settings, URLs, system checks, the operators' dashboard, and commands that start it all.

The highest package: it may import every app, and no app imports it. It stores nothing and decides nothing about
accounts, credits or videos.
"""
