"""The figures that operators read: cost totals, forecasts, charts, tables, the daily summary and the cost report.

All modules only read, except `summary_schedule`, which records which summary e-mails were sent. Figures come from totals
(see `billing.costs.rollups`), never from counting all jobs. Called by the operator pages, the commands and the worker.
"""
