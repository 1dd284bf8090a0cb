"""Help in plain text, and what the parser refuses in one line.

To import what draws frames around either takes longer than to print it.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from deepset_bench import grammar
from deepset_bench.errors import UserError, nearest


class Commands(TyperGroup):
    """A group whose help says of each command the whole of its first line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Names and lines, wrapped instead of cut off."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(limit=1000)) for name, one in found if one]
            )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that a word names.

        Raises:
            UserError: there is none of this name.
        """
        if args[0] not in self.commands and not args[0].startswith("-"):
            known = nearest(args[0], self.commands)
            raise UserError(f"{ctx.command_path} has no command {args[0]!r}; {known}")
        return super().resolve_command(ctx, args)


PLAIN: dict[str, Any] = {"cls": Commands, "rich_markup_mode": None, "no_args_is_help": True}
"""For `typer.Typer`."""


def refused(error: typer.TyperException) -> str:
    """What the parser has against a command line, and what the command takes, in one line.

    Args:
        error: of the parser; one that holds the help, for there were no words, says just that.
    """
    text, context = error.format_message(), getattr(error, "ctx", None)
    if "\n" in text:
        return text
    text = text.replace("Value error, ", "").replace("Input should", "it should").rstrip(".")
    text = f"{text[:1].lower()}{text[1:]}"
    if context is None:  # an option without its value, or with one that it does not take
        return f"error: {text}"
    command = context.command_path
    if option := getattr(error, "option_name", ""):
        known = {*grammar.options_of(context.command), *context.help_option_names}
        known = {name for name in known if name.startswith("--")}
        return f"error: {command} has no option {option}; {nearest(option, known)}"
    return f"error: {command}: {text}; {command} --help says what it takes"
