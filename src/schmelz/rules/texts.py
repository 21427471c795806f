"""The text that findings quote: English where the policy file has it, else the factory's first language.

Findings are sentences in English; a policy file may name its modes and categories in any language.
"""

from schmelz.policy.fields import Texts


def english(texts: Texts) -> str:
    """The English text, or, where there is none, the first of those given."""
    return texts["en"] if "en" in texts else next(iter(texts.values()))
