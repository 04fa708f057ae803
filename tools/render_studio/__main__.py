"""Render all scenes of the data set `studio`.

python -m tools.render_studio            # overwrite the files that segqa ships
python -m tools.render_studio elsewhere  # write them to another folder
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.render_studio.files import write_scenes
from tools.render_studio.scene import list_scene_names

SHIPPED = Path(__file__).parents[2] / "segqa" / "demo" / "studio"


def main() -> None:
    """Write the images and masks to the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.render_studio", description="Render the data set studio.")
    parser.add_argument("folder", type=Path, nargs="?", default=SHIPPED, help="default: %(default)s")
    write_scenes(parser.parse_args().folder, list_scene_names())


if __name__ == "__main__":
    main()
