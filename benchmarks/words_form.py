"""The form of the data set ``words``: its languages, its alphabet, and which levels are letters."""

from __future__ import annotations

LENGTH = 16
"""L, the symbols of an example: up to 15 letters, the end symbol, padding."""
SHORTEST, LONGEST = 2, LENGTH - 1

PADDING, END = 0, 1
"""Levels that are no letters. A word is its letters, one end symbol, and then nothing but padding."""
FIRST_LETTER = 2

LETTERS = "abcdefghijklmnopqrstuvwxyzàáâãäçèéêëìíîïñòóôõöúûüąćęğłńśźżış"  # noqa: RUF001
"""Level ``FIRST_LETTER + i`` is letter i. Those that fewer than 8 of 50,000 words have, such as œ and ù,
are left out."""

ALPHABET = ("", "", *LETTERS)
"""What each level is shown as."""

LANGUAGES = ("de", "en", "es", "fi", "fr", "it", "nl", "pl", "pt", "tr")
"""The classes, in order, as ISO 639-1 codes: German, English, Spanish, Finnish, French, Italian, Dutch, Polish,
Portuguese, Turkish."""
