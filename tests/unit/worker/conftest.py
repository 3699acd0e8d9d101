from tests.media import media

__all__ = ["media"]
