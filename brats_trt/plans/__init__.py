"""Plans: ONNX models compiled for a GPU by TensorRT or TensorRT-RTX, and what must be known of them to run them.

recipe says how a plan is built; flavour knows the two libraries and in what they differ, log hears what they say;
preparation gives the graph its types; network, compilation and builder make the plan; progress and interruption watch
over it.
"""
