"""The life of a video: ordered, sent, called back or asked for, fetched, checked, shown, and one day removed.

Where to go:

    an order           forms, offers, modes, catalogue, images and pictures, allowances, orders,
                       standing and outlook (why one would wait)
    its life           lifecycle and verdicts (the only writers of status), transitions, costs, counting, receipts
    the provider       providers/ (the wire), provider_clients, dispatch, callbacks, polling, adoption, queue,
                       balances, price_feed, callback_secret
    its files          downloads, links, incoming, film_check, posters, storing, removal, retention, kept_files
    its pages          views/, urls, presentation, progress and usual, examples, media, serving, ranges, ordered
    people             owners (what they may do), operator (what operators may), notices (mails), receivers
    the worker         supervisor, sweep, doorbells, tasks, parallel, handwork and console (commands)
    for operators      watching, callback_watch, task_alerts, alert_delivery, daily_summary, daily_failures, summary_words
    the books          book_checks, book_files, book_totals, recount

`sandbox/` is a provider to try it all with; it knows nothing of this site.
"""
