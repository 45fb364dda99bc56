"""English: a clock of 24 hours in sentences as in lists and receipts, so that one page never shows two kinds."""

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i"
MONTH_DAY_FORMAT = "j M"
