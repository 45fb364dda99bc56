"""The endpoints of kie.ai's API and the controls for tests. `routes` calls them.

An endpoint checks the request, reads or changes the state, starts a task if needed and builds the reply. It sends nothing.
"""
