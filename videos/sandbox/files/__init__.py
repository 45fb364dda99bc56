"""The file host and the upload API: serves results and uploads by plain URL or signed link, and their faults.

`routes` calls it. It draws nothing itself and never changes a task or a balance.
"""
