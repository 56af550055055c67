"""The one error that users see."""


class UserError(Exception):
    """Bad input: one line that names what, where, and what would be right.

    The command line prints it without a traceback and exits with 2.
    """
