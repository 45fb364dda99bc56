"""Chinese: thousands are grouped, unlike in Django's format; months have no leading zero (9月2日, not 09月2日)."""

MONTH_DAY_FORMAT = "n月j日"
THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
