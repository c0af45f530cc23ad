"""The Variables panel of Mage's editor: what each pipeline takes, with the values in force.

The values are those of `mlops config show`, read when the panel is opened and stored nowhere: a run
takes them from the settings as always. Only what a person changes there is saved, in the pipeline's
``variables``, and then ranks above the settings and below a trigger's and a request's variables.
Trigger pages list saved variables alone: whatever they list becomes part of a trigger.
Import only after `environment.boot`.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Mapping
from typing import Any, Final

from mage_ai.api.errors import ApiError
from mage_ai.api.resources import VariableResource
from mage_ai.server.api.v1 import ApiChildListHandler
from tornado.web import url

from mlops.errors import ConfigurationError
from mlops.orchestration.triggers.admission import PIPELINES, PipelineInputs
from mlops.settings import ALIASES, Settings, is_setting, load_settings
from mlops.steps.playground import EXAMPLE

_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {"predict": EXAMPLE}
_in_editor: contextvars.ContextVar[bool] = contextvars.ContextVar("in_editor", default=False)


def in_force(pipeline: str, settings: Settings) -> dict[str, Any]:
    """Return the settings of a pipeline by their shortest names, with the values they have now."""
    short = {path: alias for alias, path in ALIASES.items()}
    values = dict(_DEFAULTS.get(pipeline, {}))
    sections = PIPELINES.get(pipeline, PipelineInputs()).sections
    if sections:
        values["dataset"] = settings.dataset
    for section in sections:
        for name, value in getattr(settings, section).model_dump(mode="json").items():
            path = f"{section}.{name}"
            shown = ",".join(map(str, value)) if isinstance(value, list) else value
            values[short.get(path, path)] = "" if shown is None else shown
    return values


def show_in_editor() -> list[Any]:
    """Let the editor list and change settings; return the rule to put in front of Mage's."""
    saved, save = VariableResource.get_global_variables, VariableResource.set_global_variable

    @functools.wraps(saved)
    def listed(pipeline: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        own: dict[str, Any] = saved(pipeline, *args, **kwargs)
        return {**in_force(pipeline, load_settings()), **own} if _in_editor.get() else own

    def save_checked(pipeline: str, name: str, value: Any) -> None:
        if is_setting(ALIASES.get(name, name)):
            try:
                load_settings({name: value})
            except ConfigurationError as error:
                raise ApiError({**ApiError.RESOURCE_INVALID, "message": str(error)}) from error
        save(pipeline, str(name), value)

    VariableResource.get_global_variables, VariableResource.set_global_variable = (
        listed,
        save_checked,
    )
    _accept_dots(VariableResource.VariableResource)
    rule = r"/api/(?P<resource>pipelines)/(?P<pk>[^/]+)/(?P<child>variables)"
    return [url(rule, VariablesOfPage)]


class VariablesOfPage(ApiChildListHandler):  # type: ignore[misc]
    """Lists a pipeline's variables, and its settings if the editor asks."""

    async def get(self, resource: str, pk: str, child: str) -> None:
        """Answer as Mage does."""
        page = self.request.headers.get("Referer", "").partition("?")[0]
        _in_editor.set(page.endswith(f"/pipelines/{pk}/edit"))
        await super().get(resource, pk, child)


class _Name(str):
    """The dotted name of a setting: Mage takes identifiers only."""

    def isidentifier(self) -> bool:
        return is_setting(self) or super().isidentifier()


def _accept_dots(variables: Any) -> None:
    create, update = variables.create.__func__, variables.update

    def create_named(cls: Any, /, payload: dict[str, Any], user: Any, **kwargs: Any) -> Any:
        return create(cls, {**payload, "name": _Name(payload.get("name"))}, user, **kwargs)

    def update_named(self: Any, payload: dict[str, Any], **kwargs: Any) -> Any:
        return update(self, {**payload, "name": _Name(payload.get("name"))}, **kwargs)

    variables.create, variables.update = classmethod(create_named), update_named
