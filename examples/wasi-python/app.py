"""Sends one image: `send.wasm IMAGE SEED PROMPT`, and prints where it can be seen for an hour."""

import sys
from dataclasses import fields

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import environment, sinks


def record(kind, **given):
    """A record of which what is not given is left out."""
    return kind(**{field.name: given.get(field.name) for field in fields(kind)})


class Run(exports.Run):
    def run(self):
        variables = dict(environment.get_environment())
        _, image, seed, prompt = environment.get_arguments()
        try:
            sink = sinks.Sink.connect(record(
                sinks.Options,
                url=variables["SUPABASE_URL"],
                api_key=variables["SUPABASE_SECRET_KEY"],
                owner_user_id=variables["IMAGEN_OWNER_USER_ID"],
            ))
            with open(image, "rb") as file:
                request = record(sinks.Request, image=file.read(), seed=int(seed), prompt=prompt, backend="python")
            link = record(sinks.LinkOptions)
            print(sink.sync(request, record(sinks.SyncOptions, signed_url=link)).signed_url)
        except Err as failed:
            print(f"{failed.value.message} ({failed.value.code.name})", file=sys.stderr)
            raise Err(None)
