"""What can go wrong with the local stack and is the user's to mend."""

from infra.errors import ExpectedError


class LocalStackError(ExpectedError):
    """The local stack cannot go on; the text is for the user and says what to change or where to look."""
