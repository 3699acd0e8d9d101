"""Dependencies that any route may use: settings, database, object store, how much is taken."""

from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import Field
from sqlalchemy import Engine

from core.settings import Settings
from review.pressure import Pressure
from storage.objects.store import ObjectStore


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _objects(request: Request) -> ObjectStore:
    objects: ObjectStore = request.app.state.objects
    return objects


def _pressure(request: Request) -> Pressure:
    pressure: Pressure = request.app.state.pressure
    return pressure


Configured = Annotated[Settings, Depends(_settings)]
Database = Annotated[Engine, Depends(_engine)]
Objects = Annotated[ObjectStore, Depends(_objects)]
Pressed = Annotated[Pressure, Depends(_pressure)]

# A key, limited to the database's integers: anywhere, and in a path.
Key = Annotated[int, Field(ge=1, le=2**31 - 1)]
Id = Annotated[Key, Path()]
