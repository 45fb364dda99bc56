"""The dashboard, the first page of the operators' site: whether videos are being made, what they cost, what to do.

`snapshot` reads everything, `view_model` prepares it for the template, `exports` serves the tables as files.
"""
