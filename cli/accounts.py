"""`facewarden account` and `facewarden token`: who may do what, without a browser."""

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.configuration import ACTOR, read_settings
from core.errors import InvalidValue
from core.roles import Role, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session


account = typer.Typer(name="account", help="Who may sign in to review.", no_args_is_help=True)
token = typer.Typer(name="token", help="API tokens for machines.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The account's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
FromStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from stdin instead of making a one-time one."),
]


@contextmanager
def _database() -> "Iterator[Session]":
    from storage.engine import opened, transaction

    with opened(read_settings().sql_url) as engine, transaction(engine) as session:
        yield session


def _password(name: str, *, from_stdin: bool) -> tuple[str, str]:
    """A password and its hash."""
    from core import passwords

    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        passwords.accept_password(password, name=name)
    else:
        password = passwords.one_time_password()
    return password, passwords.hash_password(password)


@account.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.REVIEWER,
    password_stdin: FromStdin = False,
) -> None:
    """Add an account and print its one-time password; a service has none and needs a token."""
    from storage.people import accounts

    password, hashed = "", None
    if role != Role.SERVICE:
        password, hashed = _password(name, from_stdin=password_stdin)
    elif password_stdin:
        raise InvalidValue(field="password", reason="a service has none; create a token for it")
    with _database() as session:
        made = accounts.add(
            session,
            name=name,
            role=role,
            password_hash=hashed,
            actor=ACTOR,
            must_change=not password_stdin,
        )
    typer.echo(f"account {made.name} ({made.role})")
    if password and not password_stdin:
        typer.echo(f"one-time password: {password}")


@account.command(name="list")
def list_accounts(as_json: AsJson = False) -> None:
    """All accounts."""
    from storage.people import accounts

    with _database() as session:
        found = accounts.listed(session)
    for each in found:
        if as_json:
            _print_json(vars(each))
        else:
            state = "active" if each.active else "disabled"
            typer.echo(f"{each.name:24} {each.role:9} {state}{', one-time password' * each.must_change}")


@account.command()
def password(name: Name, password_stdin: FromStdin = False) -> None:
    """Give an account a new one-time password and sign it out everywhere."""
    from storage.people import accounts

    made, hashed = _password(name, from_stdin=password_stdin)
    with _database() as session:
        found = accounts.find(session, name)
        accounts.set_password(session, found.id, hashed, actor=ACTOR, must_change=not password_stdin)
    typer.echo(f"password of {found.name} set" if password_stdin else f"one-time password: {made}")


@account.command()
def role(name: Name, role: Annotated[Role, typer.Argument(help="What they may do from now on.")]) -> None:
    """Give an account another role."""
    from storage.people import accounts

    with _database() as session:
        found = accounts.set_role(session, accounts.find(session, name).id, role, actor=ACTOR)
    typer.echo(f"account {found.name} ({found.role})")


@account.command()
def disable(name: Name) -> None:
    """Disable an account: sign it out and revoke its tokens."""
    _set_active(name, active=False)


@account.command()
def enable(name: Name) -> None:
    """Enable a disabled account again."""
    _set_active(name, active=True)


def _set_active(name: str, *, active: bool) -> None:
    from storage.people import accounts

    with _database() as session:
        found = accounts.set_active(session, accounts.find(session, name).id, active, actor=ACTOR)
    typer.echo(f"account {found.name} is {'active' if found.active else 'disabled'}")


@token.command()
def create(
    name: Name,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeat it for several.")],
    purpose: Annotated[str, typer.Option("--for", help="What it is for.")] = "command line",
    days: Annotated[float, typer.Option(help="Days until it expires.")] = 90,
) -> None:
    """Create an API token for an account and print it; it is not shown again."""
    from storage.people import accounts, tokens

    with _database() as session:
        found = accounts.find(session, name)
        _, made = tokens.create(session, found.id, name=purpose, scopes=scope, days=days, actor=ACTOR)
    typer.echo(made)


@token.command(name="list")
def list_tokens(as_json: AsJson = False) -> None:
    """All tokens, without their secrets."""
    from storage.people import tokens

    with _database() as session:
        found = tokens.listed(session)
    for each in found:
        if as_json:
            _print_json(vars(each))
        else:
            state = f"until {each.expires_at:%Y-%m-%d}" if each.active else "ended"
            typer.echo(f"{each.id:6} {each.account:24} {each.name:24} {','.join(each.scopes):28} {state}")


@token.command()
def revoke(token_id: Annotated[int, typer.Argument(help="Its number in `facewarden token list`.")]) -> None:
    """Revoke a token."""
    from storage.people import tokens

    with _database() as session:
        found = tokens.revoke(session, token_id, actor=ACTOR)
    typer.echo(f"token {found.id} of {found.account} ({found.name}) is revoked")


def _print_json(values: dict[str, Any]) -> None:
    typer.echo(json.dumps(values, default=str))
