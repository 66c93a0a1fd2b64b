#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the schema files into messages.h (C structs) and messages.c (tables that the codec walks).

    generate.py OUT_DIR SCHEMA...

A schema file is read line by line; `#` starts a comment.

    api KEY NAME VERSIONS [flexible N]    then `request` and `response`, each followed by its fields
    header|data NAME VERSIONS [flexible N]    then its fields

A field is one line, indented by four for each struct it lies in:

    name type [versions] [null[=versions]] [tag=N] [default=X] [ignorable] [inflexible]

Versions are `3`, `3-7` or `3+`; without them a field is in every version that has what it lies in.
A type is a primitive, the name of a struct, or either behind `[]`. The lines indented under the
first use of a struct define it; later uses in the same message give only the name. `ignorable`
fields are dropped silently when a version lacks them. Defaults are 0, "", false or empty unless
said otherwise; `default=null` needs `null`.
"""

import re
import sys
from pathlib import Path

NEVER = 32767
# type name: (C type, enum, bytes on the wire in old and in flexible versions)
PRIMITIVES = {
    "bool": ("bool", "WIRE_BOOL", 1, 1),
    "int8": ("int8_t", "WIRE_INT8", 1, 1),
    "int16": ("int16_t", "WIRE_INT16", 2, 2),
    "int32": ("int32_t", "WIRE_INT32", 4, 4),
    "int64": ("int64_t", "WIRE_INT64", 8, 8),
    "uint16": ("uint16_t", "WIRE_INT16", 2, 2),
    "uint32": ("uint32_t", "WIRE_INT32", 4, 4),
    "uuid": ("struct uuid", "WIRE_UUID", 16, 16),
    "string": ("struct bytes", "WIRE_STRING", 2, 1),
    "bytes": ("struct bytes", "WIRE_BYTES", 4, 1),
    "records": ("struct bytes", "WIRE_RECORDS", 4, 1),
}
NULLABLE = {"string", "bytes", "records"}
KEYWORDS = {"default", "switch", "case", "int", "char", "struct", "union", "register", "static"}


class SchemaError(Exception):
    pass


class Struct:
    """One C struct: a whole message or a struct inside one."""

    def __init__(self, name, title, low, high, flexible):
        self.name, self.title, self.low, self.high, self.flexible = name, title, low, high, flexible
        self.fields = []

    def wire_fields(self):
        """Plain fields in wire order, then tagged ones in tag order: the order of the table."""
        plain = [f for f in self.fields if f.tag is None]
        return plain + sorted((f for f in self.fields if f.tag is not None), key=lambda f: f.tag)

    def min_bytes(self, version):
        """The least number of bytes this struct takes: what an array's count is checked against."""
        flexible = version >= self.flexible
        plain = [f for f in self.fields if f.tag is None and f.low <= version <= f.high]
        return sum(f.min_bytes(version, flexible) for f in plain) + (1 if flexible else 0)


class Field:
    def __init__(self, name, type_name, low, high):
        self.name, self.type = name, type_name.removeprefix("[]")
        self.array = type_name.startswith("[]")
        self.low, self.high = low, high
        self.null, self.tag, self.default, self.flags, self.of = (NEVER, -1), None, None, [], None

    def optional_struct(self):
        return self.of is not None and not self.array and self.null[0] != NEVER

    def min_bytes(self, version, flexible):
        if self.array:
            return 1 if flexible else 4
        if self.of is None:
            return PRIMITIVES[self.type][3 if flexible and "inflexible" not in self.flags else 2]
        return 1 if self.optional_struct() else self.of.min_bytes(version)


def parse_versions(text, low, high):
    m = re.fullmatch(r"(\d+)(\+|-(\d+))?", text)
    if m is None:
        raise SchemaError(f"'{text}' is no version range")
    first = int(m[1])
    last = high if m[2] == "+" else int(m[3]) if m[3] else first
    if not low <= first <= last <= high:
        raise SchemaError(f"versions {text} lie outside of {low}-{high}")
    return first, last


def parse_attributes(field, words):
    if words and words[0][0].isdigit():
        field.low, field.high = parse_versions(words.pop(0), field.low, field.high)
    for word in words:
        key, _, value = word.partition("=")
        if key == "null":
            field.null = (field.low, field.high)
            if value:
                field.null = parse_versions(value, field.low, field.high)
        elif key == "tag":
            field.tag = int(value)
        elif key == "default":
            field.default = value
        elif word in ("ignorable", "inflexible"):
            field.flags.append(word)
        else:
            raise SchemaError(f"unknown attribute '{word}'")


def check_field(field):
    may_null = field.array or field.of is not None or field.type in NULLABLE
    if field.name in KEYWORDS:
        raise SchemaError(f"'{field.name}' cannot be a C field")
    if field.null[0] != NEVER and not may_null:
        raise SchemaError("only strings, bytes, arrays and structs can be null")
    if field.default == "null" and field.null[0] == NEVER:
        raise SchemaError("default=null on a field that cannot be null")
    if field.optional_struct() and field.tag is not None:
        raise SchemaError("a tagged struct cannot be null")
    if field.default not in (None, "null", "true"):
        int(field.default)


class Parser:
    def __init__(self):
        self.structs, self.messages, self.apis = [], [], []

    def start(self, name, versions, flexible, suffix=""):
        low, high = versions
        snake = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name + suffix).lower()
        message = Struct(snake, name + suffix, low, high, flexible)
        self.messages.append(message)
        self.types = {}
        self.stack = [message]  # the struct at each depth
        return message

    def heading(self, words):
        kind, rest = words[0], words[1:]
        if kind in ("request", "response"):
            self.api[kind] = self.start(self.api["name"], *self.range, kind.capitalize())
            return
        if kind == "api":
            self.api = {"key": int(rest.pop(0)), "name": rest[0]}
            self.apis.append(self.api)
        versions = parse_versions(rest[1], 0, NEVER)
        self.range = versions, int(rest[3]) if rest[2:3] == ["flexible"] else NEVER
        if kind != "api":
            self.start(rest[0], *self.range)

    def field(self, depth, words):
        if not 1 <= depth <= len(self.stack):
            raise SchemaError("indented deeper than the struct above it")
        self.stack = self.stack[:depth]
        message, owner = self.stack[0], self.stack[-1]
        field = Field(words[0], words[1], message.low, message.high)
        parse_attributes(field, words[2:])
        if field.type not in PRIMITIVES:
            if field.type not in self.types:
                name = f"{message.name}_{field.type}"
                self.types[field.type] = Struct(name, message.title, message.low, message.high,
                                                message.flexible)
                self.stack.append(self.types[field.type])
            field.of = self.types[field.type]
        check_field(field)
        owner.fields.append(field)

    def line(self, text):
        text = text.split("#")[0].rstrip()
        indent = len(text) - len(text.lstrip())
        if not text:
            return
        if indent % 4 != 0:
            raise SchemaError("indentation is not a multiple of four")
        if indent == 0:
            self.heading(text.split())
        else:
            self.field(indent // 4, text.split())


def struct_order(struct, seen):
    """Inner structs first, each once."""
    for field in struct.fields:
        if field.of is not None and field.of not in seen:
            yield from struct_order(field.of, seen)
    if struct not in seen:
        seen.append(struct)
        yield struct


def c_range(low, high, struct):
    if (low, high) == (struct.low, struct.high):
        return ""
    return f"v{low}+" if high == struct.high else f"v{low}" if low == high else f"v{low}-{high}"


def c_member(field, struct):
    base = f"struct {field.of.name}" if field.of else PRIMITIVES[field.type][0]
    notes = [c_range(field.low, field.high, struct)]
    if field.null[0] != NEVER:
        where = c_range(*field.null, struct) if field.null != (field.low, field.high) else ""
        null = "NULL" if field.optional_struct() else "n = -1" if field.array else "null"
        notes.append(f"{null} is allowed" + (f" in {where}" if where else ""))
    notes = "; ".join(n for n in notes if n)
    if field.array:
        declaration = f"struct {{ int32_t n; {base} *items; }} {field.name};"
    else:
        declaration = f"{base} {'*' if field.optional_struct() else ''}{field.name};"
    return f"    {declaration}" + (f" // {notes}" if notes else "")


def c_default(field):
    if field.default is None or field.default in ("null", "true"):
        return "1" if field.default else "0"
    value = int(field.default)
    return str(value) if abs(value) < 2**31 else f"INT64_C({value})"


def c_row(field, struct):
    flags = [f"WIRE_{f.upper()}" for f in field.flags]
    if field.array:
        flags.append("WIRE_ARRAY")
    kind = "WIRE_STRUCT" if field.of else PRIMITIVES[field.type][1]
    kind = "WIRE_OPTIONAL" if field.optional_struct() else kind
    of = f"&wire_{field.of.name}" if field.of else "NULL"
    null_low, null_high = field.null
    tag = -1 if field.tag is None else field.tag
    return (f'    {{"{field.name}", {of}, {c_default(field)}, '
            f"offsetof(struct {struct.name}, {field.name}), {kind}, {' | '.join(flags) or 0}, "
            f"{field.low}, {field.high}, {min(null_low, 127)}, {null_high}, {tag}}},")


def c_tables(struct):
    fields = struct.wire_fields()
    tagged = sum(f.tag is not None for f in fields)
    sizes = [struct.min_bytes(v) for v in range(struct.low, struct.high + 1)]
    yield f"static const struct wire_field {struct.name}_fields[] = {{"
    yield from (c_row(f, struct) for f in fields)
    yield "};"
    yield f"static const uint16_t {struct.name}_min[] = {{{', '.join(map(str, sizes))}}};"
    yield (f"const struct wire_message wire_{struct.name} = {{\"{struct.title}\", "
           f"{struct.name}_fields, "
           f"{struct.name}_min, sizeof(struct {struct.name}), {len(fields) - tagged}, {tagged}, "
           f"{struct.low}, {struct.high}, {struct.flexible}}};\n")


def header(parser, structs):
    yield '// Generated by runtime/wire/generate.py from runtime/wire/schema. Do not edit.'
    yield '#ifndef LEAT_WIRE_MESSAGES_H\n#define LEAT_WIRE_MESSAGES_H\n'
    yield '#include "runtime/wire/wire.h"\n'
    yield "enum wire_api_key {"
    for api in parser.apis:
        name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", api["name"]).upper()
        yield f"    WIRE_{name} = {api['key']},"
    yield "};\n"
    for struct in structs:
        yield f"struct {struct.name} {{"
        yield from (c_member(f, struct) for f in struct.fields)
        yield f"}};\nextern const struct wire_message wire_{struct.name};\n"
    yield "#endif"


def source(parser, structs):
    yield '// Generated by runtime/wire/generate.py from runtime/wire/schema. Do not edit.'
    yield '#include "runtime/wire/messages.h"\n'
    for struct in structs:
        yield from c_tables(struct)
    yield "const struct wire_api wire_apis[] = {"
    for api in parser.apis:
        low, high, flexible = api["request"].low, api["request"].high, api["request"].flexible
        yield (f'    {{{api["key"]}, {low}, {high}, {flexible}, "{api["name"]}", '
               f'&wire_{api["request"].name}, &wire_{api["response"].name}}},')
    yield "};"
    yield f"const size_t wire_n_apis = {len(parser.apis)};\n"
    yield "const struct wire_message *const wire_messages[] = {"
    yield from (f"    &wire_{m.name}," for m in parser.messages)
    yield "};"
    yield f"const size_t wire_n_messages = {len(parser.messages)};"


def main(out_dir, paths):
    parser = Parser()
    for path in paths:
        for number, text in enumerate(Path(path).read_text().splitlines(), 1):
            try:
                parser.line(text)
            except (SchemaError, ValueError, IndexError) as error:
                sys.exit(f"{path}:{number}: {error or 'malformed line'}")
    parser.apis.sort(key=lambda api: api["key"])
    seen = []
    structs = [s for m in parser.messages for s in struct_order(m, seen)]
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    (out / "messages.h").write_text("\n".join(header(parser, structs)) + "\n")
    (out / "messages.c").write_text("\n".join(source(parser, structs)) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: generate.py OUT_DIR SCHEMA...")
    main(sys.argv[1], sys.argv[2:])
