"""Plans: ONNX models compiled for a GPU by TensorRT or TensorRT-RTX, and what must be known of them to run them.

recipe says how a plan is built; flavour knows the two libraries and in what they differ, log hears what they say;
preparation gives the graph its types; network, compilation and builder make the plan; progress and interruption watch
over it. manifest is what is written down beside a plan, compatibility whether that plan runs here, golden what it must
answer, cache where plans lie that are built on demand. twin and audit find out what FP16 costs, tuning which rewrite of
the graph is fastest.
"""
