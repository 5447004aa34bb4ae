"""The one error of the development stack: a refusal that a person can act on, told in one line."""


class StackError(Exception):
    """The stack cannot start or go on; the message is one line that says why and what to do."""
