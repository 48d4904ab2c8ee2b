"""python manage.py closepolls START COUNT: logs the numbers START .. START+COUNT-1."""

import logging

from django.core.management.base import BaseCommand

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Logs into the same files as the server, while that is running, too."""

    help = "Closes the given polls"

    def add_arguments(self, parser):
        """Say which ones."""
        parser.add_argument("start", type=int)
        parser.add_argument("count", type=int)

    def handle(self, *args, **options):
        """Close them."""
        for number in range(options["start"], options["start"] + options["count"]):
            logger.info("number=%08d", number)
