"""A plugin of something that is not installed."""

import no_such_package_anywhere  # noqa: F401
