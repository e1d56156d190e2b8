"""The components in wasmtime: `guest.py library FILE` answers lines of JSON, as guest.mjs asks them;
`guest.py command FILE FOLDER ARGUMENT...` runs a program, which sees FOLDER as `images`, with this process's variables, and may
have as many bytes of memory as its variable GUEST_MEMORY says. Without arguments it has `images` as its only one."""

import base64
import json
import os
import sys

import wasmtime
from wasmtime import component as c
from wasmtime.component import _types as types

SINKS = "imagen:cloud/sinks@0.1.0"


def load(engine, file):
    """Compiled once: the machine code lies beside the component."""
    compiled = os.path.splitext(file)[0] + ".cwasm"
    if os.path.exists(compiled) and os.path.getmtime(compiled) > os.path.getmtime(file):
        return c.Component.deserialize_file(engine, compiled)
    component = c.Component.from_file(engine, file)
    with open(compiled + str(os.getpid()), "wb") as to:
        to.write(component.serialize())
    os.replace(to.name, compiled)
    return component


def instantiate(file, wasi, engine=None):
    engine = engine or wasmtime.Engine()
    store = wasmtime.Store(engine)
    store.set_limits(memory_size=int(os.environ.get("GUEST_MEMORY", "-1")))
    store.set_wasi(wasi)
    store.set_wasi_http()
    linker = c.Linker(engine)
    linker.add_wasip2()
    linker.add_wasi_http()
    return store, linker.instantiate(store, load(engine, file))


def camel(name):
    first, *others = name.split("-")
    return first + "".join(other.capitalize() for other in others)


def lower(ty, value):
    """A value of JSON as the component's function takes it; bytes come in base64, and large numbers as texts."""
    if isinstance(ty, types.OptionType):
        return None if value is None else lower(ty.payload, value)
    if isinstance(ty, types.RecordType):
        record = c.Record()
        for name, field in ty.fields:
            setattr(record, name, lower(field, value.get(camel(name))))
        return record
    if isinstance(ty, types.ListType):
        if isinstance(ty.element, types.U8):
            return base64.b64decode(value)
        return [lower(ty.element, each) for each in value]
    if isinstance(ty, types.F64):
        return float(value)
    if isinstance(ty, (types.S64, types.U64)):
        return int(value)
    return value


def lift(ty, value, keep):
    """The other way; a result is `{ tag, val }`."""
    if isinstance(ty, types.OptionType):
        inner = value.payload if isinstance(value, c.Variant) and value.tag in ("some", "none") else value
        return None if inner is None else lift(ty.payload, inner, keep)
    if isinstance(ty, types.ResultType):
        if isinstance(value, c.Variant):
            tag, value = value.tag, value.payload
        else:
            is_error = isinstance(value, c.Record) and not isinstance(ty.ok, types.RecordType)
            tag = "err" if is_error else "ok"
        inner = ty.ok if tag == "ok" else ty.err
        return {"tag": tag, "val": None if inner is None else lift(inner, value, keep)}
    if isinstance(ty, types.RecordType):
        return {camel(name): lift(field, getattr(value, name), keep) for name, field in ty.fields}
    if isinstance(ty, types.ListType):
        return [lift(ty.element, each, keep) for each in value]
    if isinstance(ty, types.OwnType):
        return keep(value)
    if isinstance(ty, (types.S64, types.U64)):
        return str(value)
    return value


def library(file):
    wasi = wasmtime.WasiConfig()
    wasi.inherit_stderr()
    store, instance = instantiate(file, wasi)
    exported = instance.get_export_index(store, SINKS)
    held = {}

    def call(asked):
        def keep(resource):
            held[asked["id"]] = resource
            return {"resource": asked["id"]}

        method = asked["method"]
        if method == "drop":
            return held.pop(asked["on"]).drop(store)
        name = f"[static]sink.{method}" if asked["kind"] == "static" else f"[method]{asked['kind']}.{method}"
        function = instance.get_func(store, instance.get_export_index(store, name, exported))
        ty = function.type(store)
        own = [] if asked["kind"] == "static" else [held[asked["on"]]]
        wanted = ty.params[len(own):]
        value = function(store, *own, *(lower(param, arg) for (_, param), arg in zip(wanted, asked["args"])))
        if method == "subscribe":
            for pollable in value:
                pollable.drop(store)
            return len(value)
        return lift(ty.result, value, keep)

    for line in sys.stdin:
        asked = json.loads(line)
        answer = {"id": asked["id"]}
        try:
            answer["value"] = call(asked)
        except Exception as problem:
            answer["thrown"] = repr(problem)
        print(json.dumps(answer), flush=True)


def command(file, folder, *arguments):
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["command", *(arguments or ["images"])]
    wasi.inherit_env()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    wasi.preopen_dir(folder, "images", False)
    store, instance = instantiate(file, wasi)
    index = instance.get_export_index(store, "run", instance.get_export_index(store, "wasi:cli/run@0.2.12"))
    try:
        outcome = instance.get_func(store, index)(store)
    except wasmtime.ExitTrap as ended:
        sys.exit(ended.code)
    sys.exit(1 if isinstance(outcome, c.Variant) and outcome.tag == "err" else 0)


if __name__ == "__main__":
    {"library": library, "command": command}[sys.argv[1]](*sys.argv[2:])
