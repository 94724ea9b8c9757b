"""dotcart learns what people will like from the ratings they gave, and recommends what they have not bought yet.

    import dotcart

    run = dotcart.train("ratings.csv")
    run.recommend("A1B2C3", top=10)
    run.similar("B00004ZCJE")
    run.evaluation["rankings"]

A run is a folder; `dotcart.Run("runs/ratings-1")` opens it again. The work is done by the `dotcart` binary that the package
carries, so answers are those of the command line to the last digit, and its guide holds here too.
"""

from importlib.metadata import version

from ._errors import DotcartError, DotcartInternalError
from ._run import Run
from ._table import Table
from ._tensors import Ids
from ._train import Event, resume, train

__all__ = ["DotcartError", "DotcartInternalError", "Event", "Ids", "Run", "Table", "resume", "train"]
__version__ = version("dotcart")
