"""What is the user's to mend, in the rooms of infra: one sentence, no traceback, exit code 2."""


class ExpectedError(RuntimeError):
    """The command cannot go on; the text is for the user and says what to change or where to look."""
