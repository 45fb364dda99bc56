"""The dashboard, the first page of the operators' site: whether videos are being generated, their costs, and what needs action.

`snapshot` reads everything, `view_model` prepares it for the template, `exports` serves the tables as files.
"""
