"""How far two implementations of one stage may differ, and why."""

# Values of the network's input, absolute. Both sides compute in float64 and round once to float32; what remains is
# the order of the sums: one unit in the last place of the authors' 0..1 is 6e-8, of a z-score below 16 it is 1e-6.
GATHER = 1e-6

# Mean and variance, relative. float64 sums in another order.
MOMENTS = 1e-12

# Labels may differ where the two greatest probabilities, resampled in float64, lie this close: an argmax tie.
ARGMAX_TIE = 1e-12

# What float32's rounding may take from a number, relative: half a unit in its last place. A fused multiply-add rounds
# once where two operations round twice, so that every bound below holds with products and sums contracted or apart.
FLOAT32 = 2.0**-24

# What -ftz=true takes from a float32 number, at most 2^-126, has no tolerance of its own: foreground is told from
# background by bits, moments are taken in float64, and so are scores where the deviation lies outside 2^-100 to 2^120,
# within which a flushed difference is at most 2^-26 of a score. float16's least numbers are none of float32's
# subnormals, and beside values of 0..1 the rest vanishes; a test has it that flushing alone changes no bit.

# Values of the network's input, absolute, from the kernels, in units of FLOAT32. The value less the mean, which comes
# in two parts of 24 bits, and the factor 1 / deviation round to 4 of a score of up to 5, a tenth of which is 2;
# adding 5 and taking a tenth round sums of up to 10: 1, 1 and 1 for the tenth itself. Each of three resamplings of
# 0..1 rounds its weight, 1 less it, the two products and their sum: at most 4. The host's rounding to float32: 1.
GATHER_ON_DEVICE = (2 + 3 + 3 * 4 + 1) * FLOAT32

# The same in float16: half its unit in the last place below 1 on top.
HALF_GATHER_ON_DEVICE = 2.0**-12 + GATHER_ON_DEVICE

# Labels from the kernels may differ where the two greatest probabilities, resampled in float64, lie this close: an
# argmax tie. Three resamplings of 0..1 are 3 * 4 units as above and the mirrored pair's mean is 1, in each of two
# classes.
ARGMAX_TIE_ON_DEVICE = 2 * (3 * 4 + 1) * FLOAT32


def variance_tolerance(mean, variance):
    """Of the variance, relative: float64 sums in another order, and merges of parts whose means are rounded too.

    A mean off by e shifts a part's deviations, whose squares it changes by 2 e / deviation: MOMENTS of the mean.
    """
    return MOMENTS * (1 + mean / variance**0.5) if variance > 0 else 0.0


def score_tolerance(largest, deviation, score):
    """Of the card's z-scores from the kernels, absolute, for samples up to `largest` and scores up to `score`.

    A sample of raw intensities rounds to float32 once as it is read, and to 4 units in each of three resamplings: 13
    of the largest. So does the mean of samples; and the deviation, which changes by no more than all samples do.
    Subtraction and factor round the score: 4.
    """
    return FLOAT32 * (13 * largest / deviation * (2 + score) + 4 * score)


def align_tolerance(largest, deviation, score):
    """Of the input made of series on their own grids, absolute, of the authors' normalisation or the card's.

    The score as above, for the authors a tenth of it at most; adding 5, taking a tenth and multiplying by the share
    round to 4. A share is twice a mask of 0..1 that three resamplings took: 2 * 12 units, and 2 for the rest.
    """
    return score_tolerance(largest, deviation, score) + max(score, 1) * FLOAT32 * (4 + 26)


# Z-scores of the card's normalisation, absolute, from the kernels: three resamplings of raw intensities in float32,
# each rounded twice (6 * 2^-24 of the intensity), then divided by the deviation, above a tenth of the
# largest intensity: 6 * 6e-8 * 10 = 3.6e-6; the subtraction and the factor round scores of up to 8 twice more.
SCORES_ON_DEVICE = 1e-5

# The same in float16, whose unit in the last place of a score from 4 to 8 is 2^-8, half of which rounding may take.
HALF_SCORES = 2e-3
