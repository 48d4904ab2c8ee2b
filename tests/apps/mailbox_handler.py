"""A handler that is no file handler, and slow in real life: it sends each record as a mail."""

import logging
import mailbox


class MailHandler(logging.Handler):
    """Delivers to a Maildir; only the process that owns it may, or the mails would come twice."""

    def __init__(self, path):
        super().__init__()
        self._mailbox = mailbox.Maildir(path)

    def emit(self, record):
        """Send one mail."""
        self._mailbox.add(self.format(record))
