"""What the binary says when it fails, as exceptions."""


class DotcartError(Exception):
    """Something that you can mend: a file, a config, an id. `hint` says how."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class DotcartInternalError(DotcartError):
    """A fault of dotcart: please report it."""


def of_exit(code: int, talk: str) -> DotcartError:
    """The exception for an exit code other than 0, from the last error that was said on stderr."""
    before, _, said = talk.rpartition("error: ")
    if not before and not said.strip():
        said = talk
    message, _, hint = said.partition("\n\nhint: ")
    message = message.strip() or f"dotcart ended with {code}"
    # 1 is the user's to mend and 2 a wrong argument; all else, a signal too, is no answer that was meant to be given.
    kind = DotcartError if code in (1, 2) else DotcartInternalError
    return kind(message, hint.strip())
