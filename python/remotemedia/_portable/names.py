"""Which names of its module a statement needs, when, and which it binds or changes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (*_FUNCTIONS, ast.ClassDef)


@dataclass
class Names:
    """Names that a statement looks up in its module, and what it does to them.

    Attributes:
        early: while the statement runs: bases, decorators, defaults, the body of a class.
        late: when its functions are called.
        soft: in annotations, or perhaps not at all: it is no error if they are missing.
        attributes: per name what is taken from it by a dot.
        changed: names whose objects the statement changes, by a store or a call.
        changed_late: names that its functions change when they are called.
        outer: variables of an enclosing function that the statement changes.
        by_text: the function with which it looks names of its module up by text.
    """

    early: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    soft: set[str] = field(default_factory=set)
    attributes: dict[str, set[str]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    changed_late: set[str] = field(default_factory=set)
    outer: set[str] = field(default_factory=set)
    by_text: str | None = None


def names_of(*nodes: ast.AST) -> Names:
    """The names that statements or expressions at the top level of a module need."""
    finder = _Finder()
    for node in nodes:
        finder.visit(node)
    names = finder.names
    names.late -= names.early
    names.soft -= names.early | names.late
    return names


class _Finder(ast.NodeVisitor):
    def __init__(self) -> None:
        self.names = Names()
        self._is_late = False
        self._locals: list[set[str]] = []
        """Names bound in the enclosing functions."""
        self._class_locals: set[str] = set()
        """Names bound in the class body that is visited: perhaps not yet, when they are used."""

    def _is_local(self, name: str) -> bool:
        return any(name in bound for bound in self._locals)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._use(node.id)

    def _use(self, name: str) -> None:
        if self._is_local(name):
            return
        if name in self._class_locals:
            self.names.soft.add(name)
        else:
            (self.names.late if self._is_late else self.names.early).add(name)

    def _change(self, node: ast.expr) -> None:
        while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
            node = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Name) and not self._is_local(node.id):
            (self.names.changed_late if self._is_late else self.names.changed).add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        elif isinstance(node.value, ast.Name) and not self._is_local(node.value.id):
            self.names.attributes.setdefault(node.value.id, set()).add(node.attr)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name == "globals" or (name in ("eval", "exec") and len(node.args) == 1):
            self.names.by_text = name
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):  # its value is not used, so its effect is the point
            for part in (node.value.func, *node.value.args):
                if isinstance(part, (ast.Attribute, ast.Name)):
                    self._change(part)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._use(node.target.id)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.names.late.update(node.names)
        self.names.changed_late.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        for name in node.names:
            if not any(name in bound for bound in self._locals[:-1]):
                self.names.outer.add(name)

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
            self._decorators(node)
            if node.returns is not None:
                self._annotation(node.returns)
        for argument in all_arguments(arguments):
            if argument.annotation is not None:
                self._annotation(argument.annotation)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        was_late, in_class = self._is_late, self._class_locals
        self._is_late, self._class_locals = True, set()
        self._locals.append({a.arg for a in all_arguments(arguments)} | _bound_in(body))
        for part in body:
            self.visit(part)
        self._locals.pop()
        self._is_late, self._class_locals = was_late, in_class

    def _decorators(self, node: Definition) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._decorators(node)
        for part in (*node.bases, *node.keywords):
            self.visit(part)
        outer = self._class_locals
        self._class_locals = _bound_in(node.body)
        for inner in node.body:
            self.visit(inner)
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
        targets = [part for generator in generators for part in ast.walk(generator.target)]
        self._locals.append({part.id for part in targets if isinstance(part, ast.Name)})
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


def all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    """The parameters of a function."""
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return found + [a for a in (arguments.vararg, arguments.kwarg) if a is not None]


def own_nodes(*nodes: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run in the same namespace, nested scopes apart."""
    for node in nodes:
        yield node
        if not isinstance(node, SCOPES):
            yield from own_nodes(*ast.iter_child_nodes(node))


def _bound_in(body: list[ast.stmt] | list[ast.expr]) -> set[str]:
    """The names that a function or class body binds itself."""
    nodes = list(own_nodes(*body))
    declared = [n.names for n in nodes if isinstance(n, (ast.Global, ast.Nonlocal))]
    return {name for node in nodes for name in bound_by(node)}.difference(*declared)


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


def is_main_guard(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":`, which runs nowhere but in the script itself."""
    return isinstance(statement, ast.If) and "'__name__'" in ast.dump(statement.test)
