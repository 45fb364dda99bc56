"""Videos: orders, their way through the provider, their files, their pages, and the checks of all that.

Called by `veoapp`; calls `billing` and `accounts`. `providers` and `sandbox` know nothing of the rest.
"""
