"""Settings that diffusers keeps in a file's header: PEFT's own, each key behind the name of its model.

https://github.com/huggingface/diffusers/pull/11324 (`lora_adapter_metadata`)
"""

from __future__ import annotations

from typing import Any

from weightarith.adapter.config import Settings, settings_from
from weightarith.adapter.spelling import component_of
from weightarith.errors import InvalidFileError, UnsupportedError, quoted
from weightarith.tensorfile.jsonfile import parse_object
from weightarith.tensorfile.model import TensorFile
from weightarith.tensorfile.sniff import shown

KEY = "lora_adapter_metadata"


def settings_by_component(file: TensorFile) -> dict[str, Settings]:
    """Return the settings in the header of `file`, by the model they are for; none where it has none.

    Raises:
        InvalidFileError: they are no JSON object, a key names no model, or a value is of the wrong type.
        UnsupportedError: they tell of a variant that is no plain product of two factors.
    """
    text = file.metadata.get(KEY)
    if text is None:
        return {}
    where = f"{shown(file.path)}: {KEY} in its header"
    configs: dict[str, dict[str, Any]] = {}
    for key, value in parse_object(text, where).items():
        component, setting = component_of(key)
        if not component:
            raise InvalidFileError(
                f"{where} sets {quoted(key)}, expected settings such as 'transformer.r'",
                hint="save the adapter again with save_lora_weights() of diffusers",
            )
        configs.setdefault(component, {"peft_type": "LORA"})[setting] = value
    settings = {component: settings_from(file.path, config) for component, config in configs.items()}
    for component, one in settings.items():
        if one.transposed:
            raise UnsupportedError(
                f"{where} sets '{component}.fan_in_fan_out', and diffusers has no such modules",
                hint="save the adapter with PEFT's save_pretrained()",
            )
    return settings
