import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from segqa.models import source_digest
from segqa.models.source_digest import digest_source
from segqa.models.user_files import is_user_file

CONFTEST = """
    import numpy as np
    from lib import cut, tools
    import lib.net as network
    from stars import *

    CONFIG = {"cutoff": 0.5}
    CONFIG["bgr"] = False

    try:
        from lib.fast import speed
    except ImportError:
        from lib.slow import speed


    def helper(image):
        return cut(image) + tools.add(image) + shine(image)


    def unrelated(image):
        return image


    class Base:
        def finish(self, image):
            return speed(image)


    def mine():
        class Mine(Base):
            fingerprint = "v1"

            def predict(self, images, prompts):
                from lib.late import last

                unrelated = 3
                return [last(helper(image)) > CONFIG["cutoff"] for image in images] + network.build().run(unrelated)

        return Mine()
    """
FILES = {
    "conftest.py": CONFTEST,
    "stars.py": "def shine(x): return x\n\ndef dull(x): return x\n",
    "lib/__init__.py": "from .cutting import cut\nfrom .cutting import other\n",
    "lib/cutting.py": "LIMIT = 3\n\ndef cut(x): return x - LIMIT\n\ndef other(x): return x\n",
    "lib/tools.py": "def add(x): return x\n\ndef idle(x): return x\n",
    "lib/net.py": "from . import layers\n\ndef build(): return layers.Layer()\n\ndef idle(): pass\n",
    "lib/layers.py": "class Layer:\n    def run(self, x): return [x]\n\nclass Idle: pass\n",
    "lib/slow.py": "def speed(x): return x\n",
    "lib/late.py": "def last(x): return x\n",
}

Digest = Callable[[], str]


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digest:
    """Write the files, and give the digest of the fixture as the files are when it is called."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(dedent(text), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] in {"lib", "stars"}]:
        monkeypatch.delitem(sys.modules, name)
    spec = importlib.util.spec_from_file_location("a.strange.name", tmp_path / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda: digest_source([module.mine])


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("conftest.py", 'CONFIG["bgr"] = False', 'CONFIG["bgr"] = True'),
        ("conftest.py", '"cutoff": 0.5', '"cutoff": 0.6'),
        ("conftest.py", "return cut(image)", "return -cut(image)"),
        ("conftest.py", "return speed(image)", "return -speed(image)"),
        ("conftest.py", "last(helper(image))", "last(helper(image[..., ::-1]))"),
        ("lib/cutting.py", "LIMIT = 3", "LIMIT = 4"),
        ("lib/tools.py", "def add(x): return x", "def add(x): return -x"),
        ("lib/net.py", "layers.Layer()", "layers.Layer(1)"),
        ("lib/layers.py", "return [x]", "return []"),
        ("lib/slow.py", "return x", "return -x"),
        ("lib/late.py", "return x", "return -x"),
        ("stars.py", "def shine(x): return x", "def shine(x): return -x"),
    ],
)
def test_an_edit_of_what_the_fixture_reaches_changes_it(
    digest: Digest, tmp_path: Path, name: str, old: str, new: str
) -> None:
    before = digest()
    replace_in(tmp_path / name, old, new)
    assert digest() != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("conftest.py", "def unrelated(image):\n    return image", "def unrelated(image):\n    return -image"),
        (
            "conftest.py",
            "return speed(image)",
            "# faster\n            return (\n                speed(image)\n            )",
        ),
        ("conftest.py", 'fingerprint = "v1"', '"""Docs."""\n\n        fingerprint = "v1"'),
        ("conftest.py", "import numpy as np\n", "import os\n"),
        ("conftest.py", "CONFIG = ", "OTHER = 3\n\nCONFIG = "),
        ("lib/__init__.py", "from .cutting import other\n", ""),
        ("lib/cutting.py", "def other(x): return x", "def other(x): return -x"),
        ("lib/tools.py", "def idle(x): return x", "def idle(x): return -x"),
        ("lib/net.py", "def idle(): pass", "def idle(): return 1"),
        ("lib/layers.py", "class Idle: pass", "class Idle: a = 1"),
        ("stars.py", "def dull(x): return x", "def dull(x): return -x"),
    ],
)
def test_what_the_fixture_does_not_reach_changes_nothing(
    digest: Digest, tmp_path: Path, name: str, old: str, new: str
) -> None:
    before = digest()
    replace_in(tmp_path / name, old, new)
    assert digest() == before


def test_a_module_that_is_used_as_a_whole_counts_as_a_whole(digest: Digest, tmp_path: Path) -> None:
    replace_in(tmp_path / "conftest.py", "tools.add(image)", 'getattr(tools, "add")(image)')
    before = digest()
    replace_in(tmp_path / "lib" / "tools.py", "def idle(x): return x", "def idle(x): return -x")
    assert digest() != before


def test_a_module_that_is_imported_by_its_name_in_a_text_counts(digest: Digest, tmp_path: Path) -> None:
    replace_in(tmp_path / "conftest.py", "tools.add(image)", '__import__("lib.tools").tools.add(image)')
    before = digest()
    replace_in(tmp_path / "lib" / "tools.py", "def add(x): return x", "def add(x): return -x")
    assert digest() != before


def test_files_that_import_each_other_end(digest: Digest, tmp_path: Path) -> None:
    replace_in(tmp_path / "stars.py", "def shine(x)", "from conftest import helper\n\ndef shine(x, y=helper)")
    (tmp_path / "lib" / "cutting.py").write_text("from .slow import cut\n", encoding="utf-8")
    (tmp_path / "lib" / "slow.py").write_text("from .cutting import cut\n", encoding="utf-8")
    assert digest()


def test_what_is_not_the_users_has_no_digest() -> None:
    assert digest_source([print, dict, pytest.fixture, Path]) == ""


def test_what_computes_digests_is_no_source_of_a_model_and_the_demo_is() -> None:
    folder = Path(source_digest.__file__).parent
    files = [folder / f"{name}.py" for name in ("fingerprint", "object_state", "source_digest", "user_code")]
    assert [is_user_file(path) for path in files] == [False] * 4
    assert is_user_file(folder.parent / "demo" / "hog_grabcut.py")
    assert is_user_file(folder / "unet.py")
