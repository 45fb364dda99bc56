"""Chinese: thousands apart, as money is written; Django's own way groups nothing here. 9月2日, not 09月2日."""

MONTH_DAY_FORMAT = "n月j日"
THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
