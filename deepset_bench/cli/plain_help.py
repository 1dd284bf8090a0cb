"""Help in plain text: to import what draws frames around it takes longer than to print it."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class Commands(TyperGroup):
    """A group whose help says of each command the whole of its first line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Names and lines, wrapped instead of cut off."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(limit=1000)) for name, one in found if one]
            )


PLAIN: dict[str, Any] = {"cls": Commands, "rich_markup_mode": None, "no_args_is_help": True}
"""For `typer.Typer`."""
