"""How names are compared."""

import unicodedata


def folded(text: str) -> str:
    """`text` case-folded and normalised, so that "Ünïçödé" is found however it was typed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())
