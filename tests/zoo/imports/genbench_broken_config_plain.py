"""A plugin whose configuration is no dataclass."""

from genbench import ModelSpec, hookimpl


class Config:
    batch_size = 8


@hookimpl
def register_models():
    return [ModelSpec("broken-config", "nowhere:Model", Config, "Never registered")]
