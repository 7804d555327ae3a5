"""What the developer stack says when it cannot go on. Imports nothing of ours."""


class StackError(Exception):
    """A reason to stop, written as one line for the person at the keyboard."""
