"""Turns a task's rows into what users read: state, progress, receipt and tiles, and a progress line for the terminal.

Pages, mails, commands and the admin call it; it only reads and never changes a task.
"""
