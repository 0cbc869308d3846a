"""The bus: joins handlers that know only the contract to Kafka."""

from common.bus.stage import BatchStage, Before, Context, EachStage, Handler, Outputs

__all__ = ["BatchStage", "Before", "Context", "EachStage", "Handler", "Outputs"]
