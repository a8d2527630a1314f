"""The values of settings as the operator gave them. `config.py` reads and checks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class BadSetting(SystemExit):
    """A setting is invalid. The process ends and prints one line that says how to fix it."""


class Given(dict[str, str]):
    """The settings by name. `NAME_FILE` is the path of a file that has the value of `NAME`."""

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a setting, or `default` if it is not set.

        Raises BadSetting if both `NAME` and `NAME_FILE` are set, or if the file cannot be read.
        """
        path = super().get(f"{name}_FILE")
        if path is None:
            return super().get(name, default)
        if name in self:
            raise BadSetting(f"{name} and {name}_FILE are both set: unset one of them.")
        try:
            return Path(path).read_text(encoding="utf-8").strip() or default
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
            raise BadSetting(
                f"{name}_FILE names {path}, which cannot be read: {reason}. Name a file that "
                "contains the value."
            ) from None
