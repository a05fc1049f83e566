"""How far two implementations of one stage may differ, and why."""

# Values of the network's input, absolute. Both sides compute in float64 and round once to float32; what remains is
# the order of the sums: one unit in the last place of the authors' 0..1 is 6e-8, of a z-score below 16 it is 1e-6.
GATHER = 1e-6

# Mean and variance, relative. float64 sums in another order.
MOMENTS = 1e-12

# Labels may differ where the two greatest probabilities, resampled in float64, lie this close: an argmax tie.
ARGMAX_TIE = 1e-12

# Values of the network's input, absolute, from the kernels: they compute in float32, three resamplings of intensities
# that are each rounded once or twice, 0..1, with multiply-adds contracted or not.
GATHER_ON_DEVICE = 2e-6
