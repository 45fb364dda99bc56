"""Seams: places where a test takes over what a process gets from outside, so that a run can be repeated exactly.

`clock` is time, `randomness` is chance, and `failpoints` are named places where a test stops the process. Every app
reads them here and nowhere else. The network's seam is `videos.providers.http.exchange`.
"""
