"""Who works here: the roles of accounts and the scopes of API tokens.

They are stored as their string values; renaming a member's value needs a migration.
"""

from enum import StrEnum


class Role(StrEnum):
    VIEWER = "viewer"  # sees everything but accounts, tokens of others and the audit log
    REVIEWER = "reviewer"  # also claims, decides, uploads, exports, screens again
    ADMIN = "admin"  # also manages accounts and tokens, reads the audit log
    SERVICE = "service"  # a machine: has no password and comes with API tokens only


class Scope(StrEnum):
    """What an API token may be used for, at most: its account's role limits it further."""

    READ = "read"
    DECIDE = "decide"
    UPLOAD = "upload"
    INTERACTIVE = "interactive"  # upload before what arrives by itself
    EXPORT = "export"
    RESCREEN = "rescreen"
    ADMIN = "admin"


# The scopes a token may have: none that would only take effect once its owner is promoted.
ROLE_SCOPES = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.REVIEWER: frozenset(Scope) - {Scope.ADMIN},
    Role.ADMIN: frozenset(Scope),
    Role.SERVICE: frozenset(Scope),
}
