"""The error of the developer stack. Imports nothing of ours."""


class StackError(Exception):
    """A reason to stop, written as one line for the person at the keyboard."""
