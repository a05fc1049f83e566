"""Plans: ONNX models compiled for a GPU by TensorRT or TensorRT-RTX, and what must be known of them to run them.

recipe says how a plan is built; flavour knows the two libraries and in what they differ; preparation gives the graph its
types, network and builder make the plan, progress and interruption watch over it.
manifest is what is known of a plan; compatibility judges from it whether the plan may be loaded, golden tries the plan
out once it is, and cache keeps plans that were built on demand.
"""
