"""Wrong arguments of the error measures."""

from __future__ import annotations

import numpy as np
from fewerbits.tensor.metrics import cosine, entropy, max_error, mse, sqnr

from tests.bad_input import Case

X = np.linspace(-1, 1, 6).reshape(2, 3)
METRICS = (mse, sqnr, cosine, max_error)

CASES = [
    *(
        Case(f"{metric.__name__} of {name}", lambda metric=metric, a=a, b=b: metric(a, b), exception, words)
        for metric in METRICS
        for name, a, b, exception, words in (
            ("NaN", [1.0, np.nan], [1.0, 2.0], ValueError, ("x holds nan", "(1,)")),
            ("infinity", [1.0, 2.0], [1.0, np.inf], ValueError, ("x_hat holds inf", "(1,)")),
            ("nothing", [], [], ValueError, ("x is empty",)),
            ("other shapes", X, X.T, ValueError, ("x_hat has shape (3, 2)", "(2, 3)")),
            ("a broadcast", X, X[0], ValueError, ("x_hat has shape (3,)", "(2, 3)")),
            ("complex numbers", X, 1j * X, TypeError, ("x_hat has dtype complex128",)),
            ("booleans", X > 0, X, TypeError, ("x has dtype bool",)),
        )
    ),
    Case("entropy of values", lambda: entropy(X), TypeError, ("codes has dtype float64", "integers")),
    Case("entropy of booleans", lambda: entropy(X > 0), TypeError, ("codes has dtype bool", "integers")),
    Case("entropy of nothing", lambda: entropy(np.array([], int)), ValueError, ("codes", "empty")),
    Case("entropy of uint64", lambda: entropy(np.array([2**64 - 1], np.uint64)), ValueError, ("codes", str(2**64 - 1))),
]
