"""Giving people roles for parts of the catalog, and programs tokens: only for suppliers and categories that there are, and no token above its user."""

from __future__ import annotations

from endcap.ops import access
from endcap.ops.home import Home
from endcap.ops.scopes import BELOW, EVERYTHING, ROLES, Scope
from endcap.problems import BadInput
from endcap.review.product import house_categories

SUPPLIERS_SHOWN = 20


def grant(home: Home, name: str, scope: Scope, *, actor: str) -> None:
    """Give a user a role for a scope, at once. Raises BadInput for a supplier or category that is not there, and for what `access.grant` refuses."""
    check_scope(home, scope.supplier, scope.category)
    access.grant(home.engine, name, scope, actor=actor)


def make_token(
    home: Home, name: str, role: str, *, days: float, actor: str, owner: str | None = None, supplier: str = EVERYTHING, category: str = EVERYTHING
) -> str:
    """A program's token, shown this once.

    Raises BadInput for a supplier or category that is not there, for a role above that of its owner, and for what `access.make_token` refuses.
    """
    check_scope(home, supplier, category)
    _check_not_above(home, role, owner)
    return access.make_token(home.engine, name, role, days=days, actor=actor, owner=owner, supplier=supplier, category=category)


def check_scope(home: Home, supplier: str, category: str) -> None:
    """Raise BadInput where no feed is of this supplier, or the house has no such category; without a taxonomy any may come."""
    known = {feed.supplier or feed_name for feed_name, feed in home.catalog.feeds.items()}
    if supplier != EVERYTHING and supplier not in known:
        raise BadInput(f"there is no supplier {supplier!r}", where="supplier", todo=f"use one of {', '.join(sorted(known)[:SUPPLIERS_SHOWN])}")
    house = house_categories(home)
    if category != EVERYTHING and house and not any(path == category or path.startswith(category + BELOW) for path in house):
        raise BadInput(f"the house has no category {category!r}", where="category", todo="name one as `endcap products` shows it, with its levels")


def _check_not_above(home: Home, role: str, owner: str | None) -> None:
    user = next((one for one in access.users(home.engine) if one.name == owner), None)
    if user is None or role not in ROLES:
        return  # of nobody, or refused where it is made
    highest = max((one.role for one in user.grants), key=ROLES.index, default=user.role)
    if ROLES.index(role) > ROLES.index(highest):
        raise BadInput(f"{owner} is {highest}, so that no program of theirs can be {role}", where="token", todo=f"use --role {highest}, or give {owner} more")
