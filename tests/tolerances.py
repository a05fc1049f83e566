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

# Z-scores of the card's normalisation, absolute, from the kernels: three resamplings of raw intensities in float32,
# each rounded twice (6 * 2^-24 of the intensity), then divided by the deviation, above a tenth of the
# largest intensity: 6 * 6e-8 * 10 = 3.6e-6; the subtraction and the factor round scores of up to 8 twice more.
SCORES_ON_DEVICE = 1e-5

# The same in float16, whose unit in the last place of a score from 4 to 8 is 2^-8, half of which rounding may take.
HALF_SCORES = 2e-3
