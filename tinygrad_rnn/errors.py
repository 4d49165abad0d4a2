"""The errors that a caller can cause. Each is an `Error`, and also of the builtin class that NumPy would raise."""

from __future__ import annotations


class Error(Exception):
    """Base class of the errors of this package. Any other exception that the package raises is a bug."""


class InvalidValue(Error, ValueError):
    """An argument has the right type, but a value that cannot be used."""


class InvalidType(Error, TypeError):
    """An argument has a type that cannot be used, or a call does not fit the signature."""


class InvalidIndex(Error, IndexError):
    """An index is out of range."""


class UnknownName(Error, KeyError):
    """A name is not in the graph, table or file where it was looked up."""

    def __str__(self) -> str:  # KeyError's would put the text in quotes
        return str(self.args[0]) if self.args else ""


class InvalidAttribute(Error, AttributeError):
    """An attribute does not exist, or cannot be set here."""


class NumericalError(Error, FloatingPointError):
    """A number is not finite where a finite number is needed."""


class MissingDependency(Error, ModuleNotFoundError):
    """An optional dependency is not installed; the text names the extra that installs it."""


class DownloadError(Error, ConnectionError):
    """A file could not be downloaded."""


class ShapeError(Error, ValueError):
    """Shapes do not fit; the text reads ``where: what is, what should be``."""


class GraphError(Error, RuntimeError):
    """A backward pass is not possible."""


class MutationError(Error, RuntimeError):
    """An array that a gradient rule saved was changed before the rule ran."""


class NanError(Error, FloatingPointError):
    """An operation produced NaN or inf."""


class FormulaError(Error, ValueError):
    """A value, or a function of values, cannot be written as a formula; the text says why."""


class DeriveError(FormulaError):
    """A backward pass cannot be derived, or the derived code fails its check; the text says why."""


class PlanError(Error, ValueError):
    """A cell cannot be planned; the text says why, with the user's line."""


class CheckError(Error, AssertionError):
    """A gradient is wrong, or could not be checked."""


class Uncheckable(Error, TypeError):
    """The arguments of a check cannot be checked; the text says what to write."""


class ExerciseError(Error, ValueError):
    """A cell cannot be written as lines of NumPy; the text says why."""


class RenderError(Error, RuntimeError):
    """A picture cannot be rendered: no renderer is installed, the format is unknown, or rendering took too long."""


class NoRendererError(RenderError):
    """Graphviz is not installed."""


class RenderTimeoutError(RenderError):
    """Rendering took longer than its time limit."""


class UserFileError(Error, ValueError):
    """A user's file cannot be read or run, or has no such name; the text shows the user's own lines."""
