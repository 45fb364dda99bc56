"""The operators' site: the admin site with its dashboard and reconciliation page, and the cost-monitoring API.

Pages read figures from billing and videos, and call their services to change anything; they contain no business rules.
"""
