"""Providers of video: what we ask of one (`base`), what may go wrong (`errors`), one file for each. No Django here."""
