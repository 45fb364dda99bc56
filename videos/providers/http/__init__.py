"""HTTP with strict limits: one API call (`exchange`) and one checked, resumable download (`download`).
Called by the provider clients, the pipeline and the alert webhook. It never retries and never trusts the environment.
"""
