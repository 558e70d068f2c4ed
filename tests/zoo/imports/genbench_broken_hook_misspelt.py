"""A plugin whose hook has a name that no hook has."""

from dataclasses import dataclass

from genbench import ModelSpec, hookimpl


@dataclass(frozen=True)
class Config:
    batch_size: int = 8


@hookimpl
def register_model():
    return [ModelSpec("broken-misspelt", "nowhere:Model", Config, "Never registered")]
