"""The five measures as texts: the figures, how many cases they rest on, and what they count. Pure."""

from bot.formatting import counted, duration_text, percent_text
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, join, link, markup
from bot.velocity import definitions
from bot.velocity.definitions import MeasureDefinition
from bot.velocity.measures import DeliveryMeasures, LeadTime
from bot.velocity.statistics import DurationQuantiles, Proportion


def measure_text(measures: DeliveryMeasures, definition: MeasureDefinition, docs_url: str) -> Markup:
    """Return one of the five measures: its name, its figures, and what it counts, with a link to more."""
    figures = {
        definitions.LEAD_TIME.key: _lead_times,
        definitions.DEPLOYMENT_FREQUENCY.key: _frequency,
        definitions.RECOVERY_TIME.key: _recovery,
        definitions.CHANGE_FAIL_RATE.key: _fail_rate,
        definitions.REWORK_RATE.key: _rework_rate,
    }[definition.key](measures)
    address = f"{docs_url.rstrip('/')}/delivery-measures.md#{definition.anchor}"
    more = link(address, "More") if address.startswith(("https://", "http://")) else NOTHING
    explained = join(" ", [markup("_{}_", definition.text), more])
    return join("\n", [markup("{}: {}", bold(definition.name), figures), explained])


def quantiles_text(found: DurationQuantiles) -> str:
    """Return lengths of time as `5 h median, 2 d p90 (n 41)`."""
    if found.p50 is None or found.p90 is None:
        return "none yet"
    return f"{duration_text(found.p50)} median, {duration_text(found.p90)} p90 (n {found.n:,})"


def proportion_text(found: Proportion) -> str:
    """Return a share as `12.5%, likely 5% to 30% (5 of 40)`."""
    if found.value is None or found.low is None or found.high is None:
        return "nothing was deployed"
    interval = f"{percent_text(found.low, digits=0)} to {percent_text(found.high, digits=0)}"
    return f"{percent_text(found.value, digits=1)}, likely {interval} ({found.count} of {found.n:,})"


def per_week_text(measures: DeliveryMeasures) -> str:
    """Return how often something was deployed, as `7.2 deployments a week`."""
    number = f"{measures.deployment_frequency.per_week:.1f}".removesuffix(".0")
    return f"{number} {'deployment' if number == '1' else 'deployments'} a week"


def failed_text(measures: DeliveryMeasures) -> str:
    """Return which share of the deployments failed, as `12.5% failed`."""
    rate = measures.change_fail_rate
    return f"{percent_text(rate.value or 0.0, digits=1)} failed"


def _lead_times(measures: DeliveryMeasures) -> Markup:
    merged = measures.lead_time_from_merge
    first = _lead_time(measures.lead_time)
    if not merged.times.n:
        return first
    return markup("{}. From the default branch: {}", first, _lead_time(merged))


def _lead_time(lead_time: LeadTime) -> Markup:
    left_out = [
        f"{counted(count, 'change')} {why}"
        for count, why in (
            (lead_time.dropped, "dropped for a wrong time"),
            (lead_time.unknown, "without a time"),
        )
        if count
    ]
    return join(", ", [quantiles_text(lead_time.times), *left_out])


def _frequency(measures: DeliveryMeasures) -> Markup:
    frequency = measures.deployment_frequency
    apart = f". Between two: {quantiles_text(frequency.between)}" if frequency.between.n else ""
    return markup("{} (n {}){}", per_week_text(measures), f"{frequency.n:,}", apart)


def _recovery(measures: DeliveryMeasures) -> Markup:
    recovery = measures.recovery
    if not recovery.times.n and not recovery.unrecovered:
        return Markup("nothing failed")
    late = f"{recovery.unrecovered} not recovered yet" if recovery.unrecovered else ""
    return join(", ", [quantiles_text(recovery.times) if recovery.times.n else "", late])


def _fail_rate(measures: DeliveryMeasures) -> Markup:
    suspected = measures.suspected.count
    apart = f". Suspected besides, not counted: {suspected}" if suspected else ""
    return markup("{}{}", proportion_text(measures.change_fail_rate), apart)


def _rework_rate(measures: DeliveryMeasures) -> Markup:
    return markup("{}", proportion_text(measures.rework_rate))
