"""Score pictures by what they show: the prompted concept, its background, its place, its reconstruction."""

from latentry_emoji.evaluation.scoring import Scores, score, score_inpainting
from latentry_emoji.evaluation.tasks import InpaintingTask, benchmark_scenes, inpainting_tasks

__all__ = ["InpaintingTask", "Scores", "benchmark_scenes", "inpainting_tasks", "score", "score_inpainting"]
