"""Megatron's layer patterns: `2`, or a list expression such as `([0]*1+[1]*26)`."""

import ast
import re

_ALLOWED_CHARACTERS = re.compile(r"[\d,\[\]()+*]+")
_MAX_LAYERS = 100_000

type _Term = int | list[int]


def layer_pattern(text: str) -> int | tuple[int, ...]:
    """What Megatron makes of `--moe-layer-freq` and its kin: every n-th layer, or one number a layer.

    Megatron evaluates the text as Python; here it is parsed, and only lists of whole numbers, `+` and `*` are
    computed. ValueError where Megatron would fail, or where the result is not a list of whole numbers.
    """
    if "[" not in text:
        return int(text)
    if not _ALLOWED_CHARACTERS.fullmatch(text):
        raise ValueError(f"only digits and , [ ] ( ) + * may stand in a layer pattern: {text!r}")
    try:
        value = _evaluate(ast.parse(text, mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"not a list expression: {text!r}") from error
    if isinstance(value, int):
        raise ValueError(f"not a list: {text!r}")
    return tuple(value)


def _evaluate(node: ast.expr) -> _Term:
    """The value of a sum or product of whole numbers and lists of them."""
    match node:
        case ast.Constant(value=int() as number):
            return number
        case ast.List(elts=elements):
            return [_whole_number(_evaluate(element)) for element in elements]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _add(_evaluate(left), _evaluate(right))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _multiply(_evaluate(left), _evaluate(right))
    raise ValueError(f"not allowed in a layer pattern: {ast.unparse(node)}")


def _whole_number(term: _Term) -> int:
    """The term itself, which must not be a list."""
    if isinstance(term, int):
        return term
    raise ValueError("a list within a list is not a layer pattern")


def _add(left: _Term, right: _Term) -> _Term:
    """Sum of two numbers, or one list after the other."""
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        return left + right
    raise ValueError("a number and a list cannot be added")


def _multiply(left: _Term, right: _Term) -> _Term:
    """Product of two numbers, or a list repeated."""
    match left, right:
        case int(), int():
            return left * right
        case (list() as layers, int() as times) | (int() as times, list() as layers):
            if len(layers) * times > _MAX_LAYERS:
                raise ValueError(f"more than {_MAX_LAYERS} layers")
            return layers * times
    raise ValueError("two lists cannot be multiplied")
