"""What people may do with a video: its owner (cancel, delete, close the account) and operators (check, retry, cancel).

Views, the admin, commands and the sweep call it. It checks whether an action is allowed and leaves every change of status
and money to `lifecycle`.
"""
