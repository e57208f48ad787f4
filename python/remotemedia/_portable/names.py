"""Which names of its module a statement needs, and when."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field


@dataclass
class Names:
    """Names that are looked up in the module.

    Attributes:
        early: while the statement runs: bases, decorators, defaults, the body of a class.
        late: when its functions are called.
        soft: in annotations, or perhaps not at all: it is no error if they are missing.
        nonlocal_names: variables of an enclosing function that the statement changes.
    """

    early: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    soft: set[str] = field(default_factory=set)
    nonlocal_names: set[str] = field(default_factory=set)


def names_of(*nodes: ast.AST) -> Names:
    """The names that statements or expressions at the top level of a module need."""
    finder = _Finder()
    for node in nodes:
        finder.visit(node)
    names = finder.names
    names.late -= names.early
    names.soft -= names.early | names.late
    return names


def unbound_names(tree: ast.Module) -> set[str]:
    """The names that a module looks up and does not bind: builtins, and what a star brings."""
    names = names_of(*tree.body)
    bound = _bound_in(tree.body)
    bound.update(n for node in ast.walk(tree) if isinstance(node, ast.Global) for n in node.names)
    return (names.early | names.late | names.soft) - bound


def offered_names(tree: ast.Module) -> set[str]:
    """The names that a module seems to offer to others: what it defines at its top, and what it
    takes from its parts.
    """
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.ImportFrom, *_DEFINITIONS)):
            found.update(bound_by(node))
        if not isinstance(node, _DEFINITIONS):
            waiting += ast.iter_child_nodes(node)
    return {name for name in found if not name.startswith("_")}


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Function = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class _Finder(ast.NodeVisitor):
    def __init__(self) -> None:
        self.names = Names()
        self._is_late = False
        self._locals: list[set[str]] = []
        """Names bound in the enclosing functions."""
        self._class_locals: set[str] = set()
        """Names bound in the class body that is visited: perhaps not yet, when they are used."""

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._use(node.id)

    def _use(self, name: str) -> None:
        if any(name in bound for bound in self._locals):
            return
        if name in self._class_locals:
            self.names.soft.add(name)
        else:
            (self.names.late if self._is_late else self.names.early).add(name)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._use(node.target.id)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.names.late.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        for name in node.names:
            if not any(name in bound for bound in self._locals[:-1]):
                self.names.nonlocal_names.add(name)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        arguments = node.args
        for default in (*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)):
            self.visit(default)
        if not isinstance(node, ast.Lambda):
            for decorator in node.decorator_list:
                self.visit(decorator)
            if node.returns is not None:
                self._annotation(node.returns)
        for argument in _arguments(arguments):
            if argument.annotation is not None:
                self._annotation(argument.annotation)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        was_late, in_class = self._is_late, self._class_locals
        self._is_late, self._class_locals = True, set()
        self._locals.append({a.arg for a in _arguments(arguments)} | _bound_in(body))
        for part in body:
            self.visit(part)
        self._locals.pop()
        self._is_late, self._class_locals = was_late, in_class

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        outer = self._class_locals
        self._class_locals = _bound_in(node.body)
        for part in node.body:
            self.visit(part)
        self._class_locals = outer

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._annotation(node.annotation)
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def _annotation(self, node: ast.expr) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                self.names.soft.add(part.id)
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                try:
                    inner = ast.parse(part.value, mode="eval")
                except SyntaxError:  # a text, such as in Literal["on"]
                    continue
                self.names.soft |= {n.id for n in ast.walk(inner) if isinstance(n, ast.Name)}

    def _comprehension(self, node: ast.AST, generators: list[ast.comprehension]) -> None:
        bound = {
            part.id
            for generator in generators
            for part in ast.walk(generator.target)
            if isinstance(part, ast.Name)
        }
        self._locals.append(bound)
        self.generic_visit(node)
        self._locals.pop()

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node, node.generators)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node, node.generators)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node, node.generators)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node, node.generators)


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return found + [a for a in (arguments.vararg, arguments.kwarg) if a is not None]


def _bound_in(body: list[ast.stmt] | list[ast.expr]) -> set[str]:
    """The names that a function or class body binds itself, nested scopes apart."""
    found: set[str] = set()
    declared: set[str] = set()
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            declared.update(node.names)
        found |= set(bound_by(node))
        if not isinstance(node, (*_Function, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)
    return found - declared


def bound_by(node: ast.AST) -> list[str]:
    """The names that this node itself binds, without those that its parts bind."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(a.asname or a.name.partition(".")[0]) for a in node.names]
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return [node.name] if node.name else []
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    return []
