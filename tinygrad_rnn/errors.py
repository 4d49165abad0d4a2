"""Every error that a caller can cause: each is an `Error`, and also of the builtin kind that it would be in NumPy."""

from __future__ import annotations


class Error(Exception):
    """Base of the errors of this package. What is raised and is none of these is a bug."""


class InvalidValue(Error, ValueError):
    """An argument of the right type whose value cannot be used."""


class InvalidType(Error, TypeError):
    """An argument of a type that cannot be used, or a call that does not fit the signature."""


class InvalidIndex(Error, IndexError):
    """An index outside of what it indexes."""


class UnknownName(Error, KeyError):
    """A name that is not in the graph, table or file that was asked for it."""

    def __str__(self) -> str:  # KeyError's would put the text in quotes
        return str(self.args[0]) if self.args else ""


class InvalidAttribute(Error, AttributeError):
    """An attribute that does not exist, or cannot be set here."""


class NumericalError(Error, FloatingPointError):
    """A number that is not finite where a finite one is needed."""


class MissingDependency(Error, ModuleNotFoundError):
    """An optional dependency is not installed; the text names the extra that brings it."""


class DownloadError(Error, ConnectionError):
    """A file could not be fetched."""


class ShapeError(Error, ValueError):
    """Shapes that do not fit: ``where: what is, what should be``."""


class GraphError(Error, RuntimeError):
    """A backward pass that is not possible."""


class MutationError(Error, RuntimeError):
    """An array that a gradient rule saved was changed before the rule ran."""


class NanError(Error, FloatingPointError):
    """An operation made NaN or inf."""


class FormulaError(Error, ValueError):
    """A value, or a function of values, that cannot be written as a formula; the text says why."""


class DeriveError(FormulaError):
    """A cell has no backward that can be printed, or what was derived did not pass its check; the text says why."""


class CheckError(Error, AssertionError):
    """A gradient that is wrong, or that could not be checked."""


class Uncheckable(Error, TypeError):
    """What was handed over cannot be checked; the text says what to write."""


class ExerciseError(Error, ValueError):
    """A cell that cannot be written as lines of NumPy; the text says why."""


class RenderError(Error, RuntimeError):
    """A picture cannot be rendered: no renderer is installed, the format is unknown, or it took too long."""


class NoRendererError(RenderError):
    """Graphviz is not installed."""


class RenderTimeoutError(RenderError):
    """Rendering took longer than its limit."""


class UserFileError(Error, ValueError):
    """A user's file cannot be read or run, or has no such name; the text says which, with the user's own lines."""
