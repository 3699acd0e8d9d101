"""The OpenAPI document, with additions to what FastAPI generates."""

from typing import Any

from fastapi import FastAPI

from review.problem_schema import Problem


def document(app: FastAPI) -> dict[str, Any]:
    """The document of `app`, with problems as problem+json only, which response models cannot express."""
    made: dict[str, Any] = app.openapi()
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(problem.pop("$defs"), Problem=problem)
    return made
