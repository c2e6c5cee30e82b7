"""Megatron-Core itself where there is no Transformer Engine, or no GPU.

Runs in the job's own process (`python -m harness.engine.pretrain …`); nothing in the harness imports it.
"""
