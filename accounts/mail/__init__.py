"""E-mail to users: rendering and sending, the texts of security notices, and the backend that prints e-mails.

Any app may send an e-mail with `sending.send`, outside a transaction. The caller chooses the template and its values.
"""
