"""Fuzzing: the readers on damaged, mixed and hostile inputs, in child processes that may die.

`parent` runs batches of inputs in children (`child`), watches their time and memory, and runs an input that broke one again,
alone. An input is a name, and the same name gives the same bytes (`inputs`): "otlp/17" is a valid file of a format after the
changes of `mutations`, "otlp/digits-4301/2" a variant of one of the `bombs`. Others are `archives`, `frames` and folders.
"""
