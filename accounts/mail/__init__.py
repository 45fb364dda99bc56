"""Mail to users: rendering and sending, the texts of security notices, and the backend that prints mail.

Any app may send mail with `sending.send`, outside a transaction. What a mail is about is decided by the caller.
"""
