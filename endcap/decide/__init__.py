"""Decide: pairs and facts become decisions and products; ids never change meaning, and people's answers always hold."""

from endcap.decide.stage import Decided, Tried, decide

__all__ = ["Decided", "Tried", "decide"]
