"""The money: what users hold and pay, what the provider takes, and everything that stops spending in time.

Where to go:

    users' credits     ledger (every movement), lots and expiry, vouchers and guesses (wrong codes), statements,
                       references, views and urls (the credits page), receivers (sign-up, leaving)
    prices             pricing, items, margins, price_changes (what the provider charges by now)
    a job's cost       spend (estimated, promised, settled)
    before a paid call guard (both places), refusals, budget_guard, pacing, holds, breaker, wait_words,
                       unusual and usual_hours
    budgets            limits (what is set), windows (calendar), budgets (what is used), budget_state (what that stops)
    the provider       provider_accounts, key_library, vault and sealed_keys (keys at rest), snapshots (balances)
    reconciliation     reconcile, tracking (the reckoning alone), top_ups, unexplained,
                       file_answers, books (the invariants), book_checks, book_budgets
    alerts             alerts, alert_crowds (of many jobs at once), alert_words, alert_details, alert_routing,
                       balance_alerts, budget_alerts, banner
    figures            tally (counts in the same transactions), histogram, cost_now, cost_report, dashboard/,
                       summary and summary_round (the morning mail)
    for all of them    amounts, moments, sentences, sheets (CSV), chores,
                       asked (days and numbers that people type)

`models/` holds the rows, `admin/` the operators' pages. Nothing here knows what a video is: jobs are known by reference.
"""
