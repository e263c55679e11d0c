"""Problem details (RFC 9457): the API's errors, whose types are stable names."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"


class Type(StrEnum):
    """Every problem there is. Portals and operators may depend on these names."""

    UNAUTHORISED = "unauthorised"
    FORBIDDEN = "forbidden"
    OUTSIDE_TARGET_GROUP = "outside-target-group"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    WRONG_STATE = "wrong-state"
    TIME_TAKEN = "time-taken"
    REQUEST_TIMEOUT = "request-timeout"
    BODY_TOO_LARGE = "body-too-large"
    INVALID_REQUEST = "invalid-request"
    FAULT_REPORT_EMPTY = "fault-report-empty"
    FAULT_REPORT_TOO_LONG = "fault-report-too-long"
    FAULT_REPORT_INVALID_CHARACTERS = "fault-report-invalid-characters"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    RATE_LIMITED = "rate-limited"
    INTERNAL = "internal"
    BOOKING_SYSTEM_CONTRACT = "booking-system-contract"
    BOOKING_SYSTEM_UNREACHABLE = "booking-system-unreachable"
    REPORTS_NOT_POSSIBLE = "reports-not-possible"
    KEYS_UNAVAILABLE = "keys-unavailable"
    TEMPORARILY_UNAVAILABLE = "temporarily-unavailable"


@dataclass(frozen=True, slots=True)
class _Kind:
    status: HTTPStatus
    title: str


KINDS = {
    Type.UNAUTHORISED: _Kind(HTTPStatus.UNAUTHORIZED, "The token is missing or not valid"),
    Type.FORBIDDEN: _Kind(HTTPStatus.FORBIDDEN, "The token does not allow this"),
    Type.OUTSIDE_TARGET_GROUP: _Kind(HTTPStatus.FORBIDDEN, "The citizen is not in the page's target group"),
    Type.NOT_FOUND: _Kind(HTTPStatus.NOT_FOUND, "There is no such thing"),
    Type.METHOD_NOT_ALLOWED: _Kind(HTTPStatus.METHOD_NOT_ALLOWED, "That cannot be done with this address"),
    Type.WRONG_STATE: _Kind(HTTPStatus.CONFLICT, "That cannot be done in this state"),
    Type.TIME_TAKEN: _Kind(HTTPStatus.CONFLICT, "Somebody else has booked that time"),
    Type.REQUEST_TIMEOUT: _Kind(HTTPStatus.REQUEST_TIMEOUT, "The body did not come in time"),
    Type.BODY_TOO_LARGE: _Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
    Type.INVALID_REQUEST: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not as documented"),
    Type.FAULT_REPORT_EMPTY: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The report has no text"),
    Type.FAULT_REPORT_TOO_LONG: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The report is too long"),
    Type.FAULT_REPORT_INVALID_CHARACTERS: _Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The report has characters that cannot be sent"
    ),
    Type.IDEMPOTENCY_KEY_REUSED: _Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The idempotency key was used for something else"
    ),
    Type.RATE_LIMITED: _Kind(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    Type.INTERNAL: _Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here"),
    Type.BOOKING_SYSTEM_CONTRACT: _Kind(
        HTTPStatus.BAD_GATEWAY, "The booking system gave an answer that cannot be used"
    ),
    Type.BOOKING_SYSTEM_UNREACHABLE: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "There is no contact with the booking system"
    ),
    Type.REPORTS_NOT_POSSIBLE: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "Reports cannot be taken now"),
    Type.KEYS_UNAVAILABLE: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "Tokens cannot be checked now"),
    Type.TEMPORARILY_UNAVAILABLE: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "That cannot be done now"),
}


class Problem(HTTPException):
    """Ends a request with a problem. `detail` and `facts` are for the caller: neither holds what the request held."""

    def __init__(
        self, kind: Type, detail: str | None = None, *, retry_after: int | None = None, **facts: str | int
    ) -> None:
        headers: dict[str, str] = {}
        if kind is Type.UNAUTHORISED:
            headers["WWW-Authenticate"] = "Bearer"
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        super().__init__(KINDS[kind].status, detail or KINDS[kind].title, headers)
        self.kind = kind
        self.facts = facts

    def response(self) -> JSONResponse:
        """The answer."""
        body = {
            "type": self.kind,
            "title": KINDS[self.kind].title,
            "status": self.status_code,
            "detail": self.detail,
            **self.facts,
        }
        return JSONResponse(body, self.status_code, dict(self.headers or {}), MEDIA_TYPE)


def documented(*kinds: Type) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may end in these problems, for OpenAPI."""
    by_status: dict[int, list[Type]] = {}
    for kind in kinds:
        by_status.setdefault(KINDS[kind].status, []).append(kind)
    return {
        status: {
            "description": "; ".join(KINDS[kind].title for kind in those),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {
                        kind: {
                            "value": {
                                "type": kind,
                                "title": KINDS[kind].title,
                                "status": int(status),
                                "detail": KINDS[kind].title,
                            }
                        }
                        for kind in those
                    },
                }
            },
        }
        for status, those in by_status.items()
    }


SCHEMA = {
    "title": "Problem",
    "description": "RFC 9457. `type` is one of the stable names; some have more members of their own.",
    "type": "object",
    "properties": {
        "type": {"enum": [str(kind) for kind in Type]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
    "additionalProperties": True,
}


def handle(app: FastAPI) -> None:
    """Makes every error of `app` a problem."""

    @app.exception_handler(HTTPException)
    async def _of_http(_: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, Problem):
            return error.response()
        by_status = {404: Type.NOT_FOUND, 405: Type.METHOD_NOT_ALLOWED, 408: Type.REQUEST_TIMEOUT}
        problem = Problem(by_status.get(error.status_code, Type.INVALID_REQUEST))
        problem.headers = dict(problem.headers or {}) | dict(error.headers or {})
        return problem.response()

    @app.exception_handler(RequestValidationError)
    async def _of_validation(_: Request, error: RequestValidationError) -> JSONResponse:
        # Where and what, and never the value: it may be what a citizen wrote.
        what = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
        return Problem(Type.INVALID_REQUEST, what).response()

    @app.exception_handler(Exception)
    async def _of_defect(_: Request, error: Exception) -> JSONResponse:
        log.error("request_defect", detail=type(error).__name__)
        return Problem(Type.INTERNAL).response()
