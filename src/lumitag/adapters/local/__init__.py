"""One plain machine: files, SQLite, embedded models, SMTP and webhooks."""
