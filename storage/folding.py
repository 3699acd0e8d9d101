"""Names as they are compared."""

import unicodedata


def folded(text: str) -> str:
    """`text` without case and in one form for each letter: "Ünïçödé" is found however it was typed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())
