"""Names that are too long for an object, shortened so that they stay apart. Knows no kind."""


def shortened(text: str, digest: str, *, longest: int) -> str:
    """Join as much of a text as fits with a digest, by "-".

    Args:
        text: the long name.
        digest: tells it from others that begin alike.
        longest: most characters of the result.
    """
    return f"{text[: longest - len(digest) - 1].rstrip('-')}-{digest}"
