"""Headings of documents, and the anchors by which links name them."""

import re
from pathlib import Path


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings: lower case, without punctuation, with hyphens between words."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    texts = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in texts}
