"""DejaGnu directives of one test: `/* { dg-NAME ARGUMENT ... } */`, arguments being Tcl words."""

import fnmatch
import re

triplet = "x86_64-pc-linux-gnu"

# Effective targets that are neither true here nor a processor feature (isa.py knows those).
false_targets = {"ia32", "x32", "ilp32", "maybe_x32", "rop_ok", "arm", "split_stack"}


def words(text):
    """The Tcl words of `text`: bare, "quoted" or {braced}, without their delimiters."""
    found, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] == "{":
            end = _closing_brace(text, at)
            found.append(text[at + 1:end])
            at = end + 1
        elif text[at] == '"':
            end = text.index('"', at + 1)
            found.append(text[at + 1:end])
            at = end + 1
        else:
            end = next((i for i in range(at, len(text)) if text[i].isspace()), len(text))
            found.append(text[at:end])
            at = end
    return found


def _closing_brace(text, opening):
    depth = 0
    for at in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    raise ValueError(f"no closing brace: {text}")


def directives(source):
    """Yields (name, words) for each directive, in order."""
    for match in re.finditer(r"\{\s*dg-([a-z-]+)", source):
        end = _closing_brace(source, match.start())
        yield match.group(1), words(source[match.end():end])


def selects(selector, has_target):
    """Is this target selector (`target ...` without the word) true here?"""
    tokens = re.findall(r"[{}!]|&&|\|\||[^\s{}!]+", selector)
    value, rest = _either(tokens, has_target)
    if rest:
        raise ValueError(f"what is this selector: {selector}")
    return value


def _either(tokens, has_target):
    value, tokens = _both(tokens, has_target)
    # Words side by side are alternatives, too: `target *-*-linux* *-*-gnu*`.
    while tokens and tokens[0] != "}":
        tokens = tokens[1:] if tokens[0] == "||" else tokens
        more, tokens = _both(tokens, has_target)
        value = value or more
    return value, tokens


def _both(tokens, has_target):
    value, tokens = _one(tokens, has_target)
    while tokens and tokens[0] == "&&":
        more, tokens = _one(tokens[1:], has_target)
        value = value and more
    return value, tokens


def _one(tokens, has_target):
    if tokens[0] == "!":
        value, rest = _one(tokens[1:], has_target)
        return not value, rest
    if tokens[0] == "{":
        value, rest = _either(tokens[1:], has_target)
        return value, rest[1:]
    name = tokens[0]
    return fnmatch.fnmatch(triplet, name) if "-" in name else has_target(name), tokens[1:]
