"""What an operator, or the development stack, does after the engine's database is lost."""

from runtime.dispatch import restart_open_orders

__all__ = ["restart_open_orders"]
