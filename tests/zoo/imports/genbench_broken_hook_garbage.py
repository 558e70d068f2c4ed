"""A plugin that registers what is no model."""

from genbench import hookimpl


@hookimpl
def register_models():
    return ["dcgan", 7, None]
