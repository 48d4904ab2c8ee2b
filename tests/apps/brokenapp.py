"""An application that cannot be imported."""

raise RuntimeError("on-import")
