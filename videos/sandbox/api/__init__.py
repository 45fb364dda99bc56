"""The endpoints of kie.ai's API, and the sandbox's own controls for tests. Routes send requests here.

An endpoint checks the request, reads or changes the state, begins work, and builds the reply; it never touches a connection.
"""
