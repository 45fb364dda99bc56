"""The figures that operators read: cost totals, forecasts, charts, tables, the daily summary and the cost report.

Everything here reads; the one exception is `summary_schedule`, which records which summary mails were sent. Totals come from
the rollups, never from counting all jobs. Called by the operator pages, the commands and the worker.
"""
