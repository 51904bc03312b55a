"""Where the numbers of a run go: one truth, `metrics.jsonl`, and copies that may fail without hurting it."""

from metanas.track.console import Progress as Progress
from metanas.track.fan_out import FanOut as FanOut
from metanas.track.jsonl import Jsonl as Jsonl
from metanas.track.jsonl import read_rows as read_rows
from metanas.track.tracker import Row as Row
from metanas.track.tracker import Tracker as Tracker
