"""The way around: films segmented by a model, its SEG objects gathered, and trained on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from datasets.gather.__main__ import main as gather
from model.data.coco import load_coco
from model.training.run import train
from solo.__main__ import main as segment
from tests.support.seg_folder import film, folder

CHEST = Path(__file__).parents[4] / "examples" / "chest.dcm"
