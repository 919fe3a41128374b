"""A valid set of documents, expanded to a catalog by the known values of each `forEach`. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.catalog.catalog import Catalog
from bot.policy.catalog_builder import assemble
from bot.policy.documents.documents import Document
from bot.policy.faults import PolicyError, PolicyFault
from bot.policy.imports.summary import ImportSummary
from bot.policy.templates.label_values import DiscoveryRequest, LabelKey
from bot.policy.templates.templates import Template, expand


@dataclass(frozen=True, slots=True)
class ExpandedCatalog:
    """The catalog with the services of all values; `counts` has the number of services of each document."""

    catalog: Catalog
    faults: tuple[PolicyFault, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The documents of single services, workspaces and policies, and the templates of many services.

    `names` are the names of the single services, each with its document and position, `imported` what became
    of the documents of other tools.
    """

    documents: tuple[Document, ...]
    names: Mapping[str, str]
    templates: tuple[Template, ...]
    imported: ImportSummary = field(default_factory=ImportSummary)

    @property
    def discovery_requests(self) -> list[DiscoveryRequest]:
        """The values to request from the sources."""
        return [template.discovery_request for template in self.templates]

    def expanded(self, known: Mapping[LabelKey, Sequence[str]]) -> ExpandedCatalog:
        """Return the catalog for these values, with a fault for each value that has no service."""
        expansion = expand(self.templates, self.names, known)
        catalog = assemble([*self.documents, *expansion.documents])
        return ExpandedCatalog(catalog, PolicyError(expansion.faults).faults, expansion.counts)
