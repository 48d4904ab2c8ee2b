"""What can be seen of spools from outside, by commands and by those who scrape metrics.

In: the paths of spools. Out: what waits there, who owns it, what fails. Nothing is opened for
writing here, and no lock is taken.

    seen       one spool, as it was a moment ago
    metrics    the same in Prometheus' text format
    exporter   ... by HTTP, in a thread that pauses around forks
"""
