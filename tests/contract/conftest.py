"""The shipped suites say what was wrong as clearly as the tests here do."""

import pytest

pytest.register_assert_rewrite("storage.testing")
