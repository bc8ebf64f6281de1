"""Names in the query of a request that its route does not have: refused, so that a slip is seen."""

from __future__ import annotations

from collections import Counter

from starlette.requests import HTTPConnection

from rtmpose.serve.faults import unusable

CHECKED = "/v1/"
"""Other paths are of protocols that have rules of their own."""
JOBS = "/v1/jobs"


async def check_query(connection: HTTPConnection) -> None:
    """A dependency of all routes.

    Raises:
        ServiceError: a name is unknown, or comes twice.
    """
    given = Counter(name for name, _ in connection.query_params.multi_items())
    route = str(getattr(connection.scope.get("route"), "path", ""))
    if not given or not route.startswith(CHECKED):
        return
    # What is documented is what is taken. The document is made once.
    operations = connection.app.openapi()["paths"].get(route, {})
    operation = operations.get(str(connection.scope.get("method")).lower(), {})
    known = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    for name, count in given.items():
        if name not in known:
            takes = f"there are {', '.join(known)}" if known else "it takes none"
            hint = "; settings is a JSON object" if route == JOBS and "settings" in known else ""
            raise unusable(f"the query has the unknown name {name[:60]!r}; {takes}{hint}")
        if count > 1:
            raise unusable(f"{name} comes {count} times in the query")
