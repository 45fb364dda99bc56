"""The file host and the upload API: results and uploads by address, plain or by signed link, and how they go wrong.

Routes send requests here. It draws nothing itself and never changes a task or a balance.
"""
