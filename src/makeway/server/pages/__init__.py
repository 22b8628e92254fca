"""The web pages: one file a page, one template a page, one table that names them all (`table`)."""
