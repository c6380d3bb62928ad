"""What a user can say about prompts."""

from latentry_sdk import Count, Field, Options, Text


class PromptOptions(Options):
    """What a user can say about the prompts beside their text."""

    prompt_2: Text | None = Field(None, description="Text for SDXL's second encoder; otherwise the prompt")
    negative_2: Text | None = Field(None, description="Negative text for SDXL's second encoder")
    styles: tuple[str, ...] = Field((), max_length=32, description="Styles of styles.csv in the data folder")
    clip_skip: Count = Field(0, ge=0, le=11, description="How many last layers of CLIP to leave out")
