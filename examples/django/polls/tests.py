"""Run them with: python manage.py test."""

from django.test import SimpleTestCase


class IndexTest(SimpleTestCase):
    """The index view."""

    def test_it_says_hello(self):
        """And logs as ever."""
        assert self.client.get("/").content == b"hello\n"
