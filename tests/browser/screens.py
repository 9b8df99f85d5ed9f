"""Every screen of the app as a person meets it: a day with visits in every state, and a walk.

``python tests/browser/screens.py FOLDER`` takes a picture of each, in both languages and at both
widths; tests/browser/test_looks.py walks the same way and judges what it sees.
"""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page
from sqlalchemy import select

from fieldapp import blobs
from fieldapp.access import hash_password
from fieldapp.catalogue_kinds import ENGINEER_KINDS  # placeholder
