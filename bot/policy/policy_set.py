"""A valid set of documents, and the catalog that it makes with the known values of each `forEach`. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.catalog.catalog import Catalog
from bot.policy.catalog_builder import assemble
from bot.policy.documents.documents import Document
from bot.policy.faults import PolicyError, PolicyFault
from bot.policy.templates.label_values import DiscoveryRequest, LabelKey
from bot.policy.templates.templates import Template, expand


@dataclass(frozen=True, slots=True)
class ExpandedCatalog:
    """The catalog with the services of all values; `counts` says how many each document stands for."""

    catalog: Catalog
    faults: tuple[PolicyFault, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The documents that mean what they say, and those that stand for many services.

    `taken` are the names of services that documents give, with the document and its place.
    """

    documents: tuple[Document, ...]
    taken: Mapping[str, str]
    templates: tuple[Template, ...]

    @property
    def wanted(self) -> list[DiscoveryRequest]:
        """What the sources are to be asked for."""
        return [template.wanted for template in self.templates]

    def expanded(self, known: Mapping[LabelKey, Sequence[str]]) -> ExpandedCatalog:
        """Return the catalog for these values, and a fault for each value that makes no service."""
        made = expand(self.templates, self.taken, known)
        catalog = assemble([*self.documents, *made.documents])
        return ExpandedCatalog(catalog, PolicyError(made.faults).faults, made.counts)
